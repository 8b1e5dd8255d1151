using System.Globalization;
using Postern.Interop;
using Postern.Logging;

namespace Postern.Server.Processes;

/// <summary>How a child process ended.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Status">As waitpid(2) gives it.</param>
internal readonly record struct ChildEnd(int Id, int Status)
{
    /// <summary>The number of the signal that ended it; 0 = it ended by itself.</summary>
    public int Signal => Status & 0x7f;

    public int ExitCode => (Status >> 8) & 0xff;

    private bool DumpedCore => (Status & 0x80) != 0;

    /// <summary>The next child that has ended and was not asked about before; null if there is none.</summary>
    public static unsafe ChildEnd? Next()
    {
        int status;
        int id = Libc.waitpid(-1, &status, Libc.WNOHANG);
        return id > 0 ? new ChildEnd(id, status) : null;
    }

    /// <summary>Waits for one child.</summary>
    public static unsafe ChildEnd Wait(int child)
    {
        int status;
        while (Libc.waitpid(child, &status, 0) < 0)
        {
            if (System.Runtime.InteropServices.Marshal.GetLastPInvokeError() == Libc.ECHILD)
            {
                // Somebody else has asked: treat it as failed.
                return new ChildEnd(child, 1 << 8);
            }
        }

        return new ChildEnd(child, status);
    }

    /// <summary>nginx's line about it.</summary>
    /// <param name="name">What the process was, as <c>worker process</c>.</param>
    public (LogLevel Level, string Text) Describe(string name) => Signal != 0
        ? (LogLevel.Alert, string.Create(CultureInfo.InvariantCulture, $"{name} {Id} exited on signal {Signal}{(DumpedCore ? " (core dumped)" : "")}"))
        : (LogLevel.Notice, string.Create(CultureInfo.InvariantCulture, $"{name} {Id} exited with code {ExitCode}"));
}
