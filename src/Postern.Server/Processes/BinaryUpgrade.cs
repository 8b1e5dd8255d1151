using System.Globalization;
using Postern.Interop;
using Postern.Logging;
using Postern.Net;

namespace Postern.Server.Processes;

/// <summary>
/// USR2: a new binary takes over the listening sockets while this process goes on, until the administrator sends one of the two
/// away (mail-proxy 1.9).
/// </summary>
/// <param name="log">Takes what happens.</param>
internal sealed unsafe class BinaryUpgrade(Action<LogLevel, string> log)
{
    private const string OldSuffix = ".oldbin";

    /// <summary>
    /// Read end of a pipe whose other end the process that started this one holds as long as it may still be the one to go on; -1 =
    /// nobody does.
    /// </summary>
    private static int _old = ReadDescriptor();

    private string _pidFile = "";

    /// <summary>The other end of the pipe the new binary has; -1 = there is none, or this process has stopped serving.</summary>
    private int _hold = -1;
    private bool _isSuperseded;

    /// <summary>The new binary's process; 0 = there is none.</summary>
    public int Child { get; private set; }

    /// <summary>What the log says behind the signal, as nginx: <c>changing binary</c> or <c>ignoring</c>.</summary>
    public string Action => IsPossible ? "changing binary" : "ignoring";

    /// <summary>Whether the service is another process's: the new binary's, or one that came after it.</summary>
    public bool OthersServe => Child != 0 || _isSuperseded;

    /// <summary>
    /// Not twice, and not while the one this process replaces may be called back. Once that one has stopped serving it may live on with
    /// its sessions for days; nginx does not allow another upgrade in that time.
    /// </summary>
    private bool IsPossible => !OthersServe && !IsOldWaiting();

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
            log(LogLevel.Alert, $"rename() {pidFile} to {pidFile}{OldSuffix} failed before executing new binary process \"{ProcessRole.Current.Executable}\" ({Errno.LastText()})");
            return;
        }

        int* pipe = stackalloc int[2];
        if (Libc.pipe2(pipe, Libc.O_CLOEXEC) != 0)
        {
            log(LogLevel.Alert, $"pipe2() failed before executing new binary process \"{ProcessRole.Current.Executable}\" ({Errno.LastText()})");
            Restore(pidFile);
            return;
        }

        string inherited = string.Concat(sockets.Select(socket => string.Create(CultureInfo.InvariantCulture, $"{socket};")));
        int id = new ChildProcess
        {
            Executable = ProcessRole.Current.Executable,
            Arguments = [ProcessRole.Current.Executable, .. Environment.GetCommandLineArgs().Skip(1)],
            Environment =
            [
                .. ProcessRole.ForeignEnvironment(),
                $"{ProcessRole.SocketsVariable}={inherited}",
                string.Create(CultureInfo.InvariantCulture, $"{ProcessRole.OldBinaryVariable}={pipe[0]}"),
            ],
            Inherited = [.. sockets, pipe[0]],
        }.Start();
        _hold = pipe[1];
        _ = Libc.close(pipe[0]);
        if (id < 0)
        {
            log(LogLevel.Alert, $"execve() failed while executing new binary process \"{ProcessRole.Current.Executable}\" ({Errno.Text(-id)})");
            StopServing();
            Restore(pidFile);
            return;
        }

        log(LogLevel.Notice, string.Create(CultureInfo.InvariantCulture, $"start new binary process {id}"));
        Child = id;
        _pidFile = pidFile.Length > 0 ? pidFile + OldSuffix : "";
    }

    /// <summary>This process will not be the one to go on: the new binary may be replaced in turn.</summary>
    public void StopServing()
    {
        if (_hold >= 0)
        {
            _ = Libc.close(_hold);
            _hold = -1;
        }
    }

    /// <summary>The new binary has ended.</summary>
    /// <returns>Whether this process is the one in charge again; false if the new one was replaced by a newer.</returns>
    public bool OnChildEnded(string pidFile)
    {
        StopServing();
        Child = 0;
        _isSuperseded = _pidFile.Length > 0 && Running.PidFile.Read(_pidFile) != Libc.getpid();
        if (!_isSuperseded)
        {
            _pidFile = "";
            Restore(pidFile);
        }

        return !_isSuperseded;
    }

    private static int ReadDescriptor()
    {
        int descriptor = int.TryParse(
            Environment.GetEnvironmentVariable(ProcessRole.OldBinaryVariable), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1;
        if (descriptor >= 0)
        {
            Descriptors.CloseOnExec(descriptor);
        }

        return descriptor;
    }

    /// <summary>Nothing is ever written to the pipe: it has something to read once its other end is closed.</summary>
    private static bool IsOldWaiting()
    {
        var descriptor = new PollDescriptor { Descriptor = _old, Events = Libc.POLLIN };
        if (_old < 0 || Libc.poll(&descriptor, 1, 0) == 0)
        {
            return _old >= 0;
        }

        _ = Libc.close(_old);
        _old = -1;
        return false;
    }

    private void Restore(string pidFile)
    {
        if (pidFile.Length > 0 && Libc.rename(pidFile + OldSuffix, pidFile) != 0)
        {
            log(LogLevel.Alert, $"rename() {pidFile}{OldSuffix} back to {pidFile} failed ({Errno.LastText()})");
        }
    }
}
