using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Interop;
using Postern.Logging;

namespace Postern.Server.Processes;

/// <summary>
/// USR2: a new binary takes over the listening sockets while this process goes on, until the administrator sends one of the two
/// away (mail-proxy 1.9).
/// </summary>
/// <param name="log">Takes what happens.</param>
internal sealed class BinaryUpgrade(Action<LogLevel, string> log)
{
    private const string OldSuffix = ".oldbin";

    /// <summary>The process that started this one with its sockets; 0 = nobody did.</summary>
    private static readonly int _parent = Environment.GetEnvironmentVariable(ProcessRole.SocketsVariable) is { Length: > 0 } ? Libc.getppid() : 0;

    private string _pidFile = "";

    /// <summary>The new binary's process; 0 = there is none.</summary>
    public int Child { get; private set; }

    /// <summary>What the log says behind the signal, as nginx: <c>changing binary</c> or <c>ignoring</c>.</summary>
    public string Action => IsPossible ? "changing binary" : "ignoring";

    /// <summary>Not twice, and not while this process is itself the new one of two.</summary>
    private bool IsPossible => Child == 0 && (_parent == 0 || Libc.getppid() != _parent);

    /// <summary>Where the pid of this process stands now.</summary>
    public string PidFile(string configured) => _pidFile.Length > 0 ? _pidFile : configured;

    /// <summary>Starts the new binary with the command line of this one.</summary>
    /// <param name="pidFile">Renamed first; the new process writes its own.</param>
    /// <param name="sockets">The listening sockets.</param>
    public void Start(string pidFile, IReadOnlyList<int> sockets)
    {
        if (!IsPossible)
        {
            return;
        }

        if (pidFile.Length > 0 && Libc.rename(pidFile, pidFile + OldSuffix) != 0)
        {
            log(LogLevel.Alert, $"rename() {pidFile} to {pidFile}{OldSuffix} failed before executing new binary process \"{ProcessRole.Current.Executable}\" ({LastError()})");
            return;
        }

        string inherited = string.Concat(sockets.Select(socket => string.Create(CultureInfo.InvariantCulture, $"{socket};")));
        int id = new ChildProcess
        {
            Executable = ProcessRole.Current.Executable,
            Arguments = [ProcessRole.Current.Executable, .. Environment.GetCommandLineArgs().Skip(1)],
            Environment = [.. ProcessRole.ForeignEnvironment(), $"{ProcessRole.SocketsVariable}={inherited}"],
            Inherited = sockets,
        }.Start();
        if (id < 0)
        {
            log(LogLevel.Alert, string.Create(
                CultureInfo.InvariantCulture,
                $"execve() failed while executing new binary process \"{ProcessRole.Current.Executable}\" ({-id}: {Marshal.GetPInvokeErrorMessage(-id)})"));
            Restore(pidFile);
            return;
        }

        log(LogLevel.Notice, string.Create(CultureInfo.InvariantCulture, $"start new binary process {id}"));
        Child = id;
        _pidFile = pidFile.Length > 0 ? pidFile + OldSuffix : "";
    }

    /// <summary>The new binary has ended: this process is the only one again.</summary>
    public void OnChildEnded(string pidFile)
    {
        Child = 0;
        _pidFile = "";
        Restore(pidFile);
    }

    private void Restore(string pidFile)
    {
        if (pidFile.Length > 0 && Libc.rename(pidFile + OldSuffix, pidFile) != 0)
        {
            log(LogLevel.Alert, $"rename() {pidFile}{OldSuffix} back to {pidFile} failed ({LastError()})");
        }
    }

    private static string LastError()
    {
        int errno = Marshal.GetLastPInvokeError();
        return string.Create(CultureInfo.InvariantCulture, $"{errno}: {Marshal.GetPInvokeErrorMessage(errno)}");
    }
}
