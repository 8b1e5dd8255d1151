using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Interop;
using Postern.Logging;
using Postern.Net;

namespace Postern.Server.Processes;

/// <summary>
/// <c>daemon on</c>: the same program runs again in a session of its own, and the one that was called ends once the other serves, or
/// with its exit code if it does not come that far.
/// </summary>
internal static unsafe class Detachment
{
    private static int _ready;
    private static int _record;

    static Detachment()
    {
        (_ready, _record) = ReadDescriptors();
        IsDetached = _ready >= 0;
    }

    /// <summary>Whether this process was started by <see cref="Run"/>.</summary>
    public static bool IsDetached { get; }

    /// <summary>Starts the other process and waits until it serves.</summary>
    /// <param name="files">What was read of the configuration; the other process reads it from there.</param>
    /// <returns>The exit code of this process.</returns>
    public static int Run(RecordedFiles files)
    {
        int* both = stackalloc int[2];
        if (Libc.pipe2(both, Libc.O_CLOEXEC) != 0)
        {
            throw SystemCallException.FromErrno("pipe2()", Marshal.GetLastPInvokeError());
        }

        int record = MemoryFile.Create();
        using (var writer = new BinaryWriter(MemoryFile.Open(record)))
        {
            files.Write(writer);
        }

        files.Dispose();
        int id = new ChildProcess
        {
            Arguments = Environment.GetCommandLineArgs(),
            Environment =
            [
                .. ProcessRole.ForeignEnvironment(),
                string.Create(CultureInfo.InvariantCulture, $"{ProcessRole.DetachedVariable}={both[1]} {record}"),
                new ProcessRole(ProcessKind.Command, -1, ProcessRole.Current.Executable).ToVariable(),
            ],
            Inherited = [both[1], record],
            Detached = true,
        }.Start();
        _ = Libc.close(both[1]);
        _ = Libc.close(record);
        if (id < 0)
        {
            throw SystemCallException.FromErrno("posix_spawn()", -id);
        }

        byte serves;
        return Libc.read(both[0], &serves, 1) == 1 ? 0 : Math.Max(1, ChildEnd.Wait(id).ExitCode);
    }

    /// <summary>
    /// This process serves now: whoever waits for that is told, and standard error, where start-up messages went, becomes the log.
    /// Does nothing in a process that is not detached, or the second time.
    /// </summary>
    /// <param name="logs">The main <c>error_log</c> lines.</param>
    public static void Complete(IReadOnlyList<ErrorLogSettings> logs)
    {
        if (_ready < 0)
        {
            return;
        }

        PointStandardError(logs);
        byte serves = 1;
        _ = Libc.write(_ready, &serves, 1);
        _ = Libc.close(_ready);
        _ready = -1;
    }

    /// <summary>Standard error of a detached process is its first log file; also after a rotation. Elsewhere it stays what it is.</summary>
    public static void PointStandardError(IReadOnlyList<ErrorLogSettings> logs)
    {
        if (!IsDetached || logs.Any(log => log.Kind == ErrorLogTargetKind.StandardError))
        {
            return;
        }

        string? path = logs.FirstOrDefault(log => log.Kind == ErrorLogTargetKind.File)?.Path;
        int file = path is null ? -1 : LogFiles.Open(path);
        file = file >= 0 ? file : Libc.open("/dev/null", Libc.O_WRONLY | Libc.O_CLOEXEC, 0);
        if (file >= 0)
        {
            _ = Libc.dup2(file, 2);
            _ = Libc.close(file);
        }
    }

    /// <summary>
    /// What the calling process read of the configuration. It is not read from the disk once more: a passphrase out of a named pipe comes
    /// only once. Null if this process is not detached.
    /// </summary>
    public static RecordedFiles? TakeRecord()
    {
        if (_record < 0)
        {
            return null;
        }

        using var reader = new BinaryReader(MemoryFile.Open(_record));
        var record = RecordedFiles.Replay(reader, records: true);
        _ = Libc.close(_record);
        _record = -1;
        return record;
    }

    /// <summary>The descriptors of <see cref="Run"/>: where to tell that this process serves, and the record.</summary>
    private static (int Ready, int Record) ReadDescriptors()
    {
        int[] descriptors =
        [
            .. (Environment.GetEnvironmentVariable(ProcessRole.DetachedVariable) ?? "").Split(' ').Select(
                text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1),
        ];
        if (descriptors is not [>= 0, >= 0])
        {
            return (-1, -1);
        }

        // Children must not hold it open: whoever waits would not notice that this process has ended.
        Array.ForEach(descriptors, Descriptors.CloseOnExec);
        return (descriptors[0], descriptors[1]);
    }
}
