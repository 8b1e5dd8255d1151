using System.Globalization;
using Postern.Config;
using Postern.Interop;
using Postern.Net;

namespace Postern.Server;

/// <summary><c>-s</c>: signals the running process its pid file names.</summary>
internal static class SignalSender
{
    private const int NoSuchFile = 2;
    private const int PermissionDenied = 13;

    /// <param name="signal">stop, quit, reload or reopen.</param>
    /// <param name="pidFile">Absolute path.</param>
    /// <returns>Null when sent; otherwise the message behind <c>nginx: </c>.</returns>
    public static string? Send(string signal, string pidFile)
    {
        string content;
        try
        {
            content = File.ReadAllText(pidFile);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            int code = error is UnauthorizedAccessException ? PermissionDenied : NoSuchFile;
            return $"[error] open() \"{pidFile}\" failed ({Errno.Text(code)})";
        }

        string digits = content.TrimEnd('\r', '\n');
        if (ValueParsers.Number(digits) is not long pid || pid is 0 or > int.MaxValue)
        {
            return $"[error] invalid PID number \"{digits}\" in \"{pidFile}\"";
        }

        int number = Number(signal);
        if (Libc.kill((int)pid, number) == 0)
        {
            return null;
        }

        string reason = Errno.LastText();
        return string.Create(CultureInfo.InvariantCulture, $"[alert] kill({pid}, {number}) failed ({reason})");
    }

    private static int Number(string signal) => signal switch
    {
        "stop" => Libc.SIGTERM,
        "quit" => Libc.SIGQUIT,
        "reload" => Libc.SIGHUP,
        _ => Libc.SIGUSR1,
    };
}
