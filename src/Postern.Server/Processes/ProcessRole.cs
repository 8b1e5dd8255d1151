using System.Globalization;

namespace Postern.Server.Processes;

/// <summary>What this process is for, when another one of ours started it.</summary>
internal enum ProcessKind
{
    /// <summary>Somebody typed the command. If it starts the service it stays as its master.</summary>
    Command,

    /// <summary>Serves, without privileges.</summary>
    Worker,

    /// <summary>Reads a changed configuration for the master, with its privileges, and ends.</summary>
    Loader,
}

/// <summary>
/// How our processes know of each other: <c>POSTERN_PROCESS=KIND CHANNEL EXECUTABLE</c>, set by the one that starts the other.
/// </summary>
/// <param name="Kind">What it is for.</param>
/// <param name="Channel">Descriptor of its end of the channel; -1 = none.</param>
/// <param name="Executable">The program as it was called first, absolute: what a binary upgrade starts.</param>
internal sealed record ProcessRole(ProcessKind Kind, int Channel, string Executable)
{
    /// <summary>Set for a process that runs detached: <c>daemon on</c> has been done. The descriptors of <see cref="Detachment"/>.</summary>
    public const string DetachedVariable = "POSTERN_DETACHED";

    /// <summary>Listening sockets inherited in a binary upgrade: their numbers, each with a semicolon behind it.</summary>
    public const string SocketsVariable = "POSTERN";

    /// <summary>In a binary upgrade: the descriptor of <see cref="BinaryUpgrade"/> by which the old process is watched.</summary>
    public const string OldBinaryVariable = "POSTERN_OLD";

    private const string Variable = "POSTERN_PROCESS";

    private static readonly string[] _own = [Variable, DetachedVariable, SocketsVariable, OldBinaryVariable];

    public static ProcessRole Current { get; } = Read();

    /// <summary>The variable for a process of ours.</summary>
    public string ToVariable() => string.Create(CultureInfo.InvariantCulture, $"{Variable}={Kind} {Channel} {Executable}");

    /// <summary>The environment without what our processes tell each other.</summary>
    public static IReadOnlyList<string> ForeignEnvironment() =>
        [.. ChildProcess.OwnEnvironment().Where(entry => !_own.Contains(entry[..entry.IndexOf('=', StringComparison.Ordinal)], StringComparer.Ordinal))];

    private static ProcessRole Read()
    {
        string[] parts = (Environment.GetEnvironmentVariable(Variable) ?? "").Split(' ', 3);
        return parts.Length == 3
            && Enum.TryParse(parts[0], out ProcessKind kind)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int channel)
            ? new ProcessRole(kind, channel, parts[2])
            : new ProcessRole(ProcessKind.Command, -1, FindExecutable());
    }

    /// <summary>As it was called, so that an upgrade through a changed symbolic link works; without a path, what runs.</summary>
    private static string FindExecutable()
    {
        string called = Environment.GetCommandLineArgs()[0];
        string path = called.Contains('/', StringComparison.Ordinal) ? Path.GetFullPath(called) : "";
        return File.Exists(path) ? path : Environment.ProcessPath ?? ChildProcess.Self;
    }
}
