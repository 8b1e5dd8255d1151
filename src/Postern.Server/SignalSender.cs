using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Config;
using Postern.Interop;

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
            return $"[error] open() \"{pidFile}\" failed ({Describe(code)})";
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

        string reason = Describe(Marshal.GetLastPInvokeError());
        return string.Create(CultureInfo.InvariantCulture, $"[alert] kill({pid}, {number}) failed ({reason})");
    }

    private static int Number(string signal) => signal switch
    {
        "stop" => Libc.SIGTERM,
        "quit" => Libc.SIGQUIT,
        "reload" => Libc.SIGHUP,
        _ => Libc.SIGUSR1,
    };

    private static string Describe(int errno) =>
        string.Create(CultureInfo.InvariantCulture, $"{errno}: {Marshal.GetPInvokeErrorMessage(errno)}");
}
