using System.Globalization;
using Postern.Interop;
using Postern.Logging;
using Postern.Server.Running;

namespace Postern.Server.Processes;

/// <summary>
/// Everything a worker needs to serve one configuration without any right of its own: the opened logs and listening sockets, and
/// a memory file with the record of what the configuration consists of. The master keeps it for workers to come; it looks only at
/// the part made for it. Owns its descriptors.
/// </summary>
internal sealed class Handover : IDisposable
{
    private const int FileVersion = 2;

    /// <summary>Absolute path of the pid file; empty = none.</summary>
    public required string PidFile { get; init; }

    /// <summary><c>lock_file</c> of the start: reloads do not change it.</summary>
    public required string LockFile { get; init; }

    /// <summary>The worker's user, for initgroups(3).</summary>
    public required string User { get; init; }

    public required uint UserId { get; init; }

    public required uint GroupId { get; init; }

    /// <summary>The worker's environment, <c>NAME=value</c>.</summary>
    public required IReadOnlyList<string> Environment { get; init; }

    /// <summary>The worker's priority and the like.</summary>
    public required WorkerLimits Limits { get; init; }

    /// <summary>All settings a running worker cannot take over, as one text: another text needs another worker.</summary>
    public required string WorkerTraits { get; init; }

    /// <summary>The main <c>error_log</c> lines.</summary>
    public required IReadOnlyList<ErrorLogSettings> MainLogs { get; init; }

    /// <summary>Paths of all log files, in the order of <see cref="Logs"/>.</summary>
    public required IReadOnlyList<string> LogPaths { get; init; }

    /// <summary>The log files, opened.</summary>
    public IReadOnlyList<int> Logs { get; private set; } = [];

    /// <summary>The listening sockets; those of one address in the order of the loops.</summary>
    public IReadOnlyList<int> Sockets { get; private set; } = [];

    /// <summary>Descriptor of the record, a <see cref="MemoryFile"/>.</summary>
    private int Record { get; set; } = -1;

    /// <summary>Puts a handover together.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="files">What it was read from.</param>
    /// <param name="environment">The worker's environment.</param>
    /// <param name="logs">Opened log files by path; owned by the handover from now on.</param>
    /// <param name="sockets">Listening sockets; owned by the handover from now on.</param>
    public static Handover Create(
        MainSettings settings, RecordedFiles files, IReadOnlyList<string> environment, IReadOnlyDictionary<string, int> logs, IReadOnlyList<int> sockets)
    {
        string user = settings.User ?? WorkerUser.Default;
        (uint userId, uint groupId) = WorkerUser.Find(user, settings.Group);
        var handover = new Handover
        {
            PidFile = settings.PidFile,
            LockFile = settings.LockFile,
            User = user,
            UserId = userId,
            GroupId = groupId,
            Environment = environment,
            Limits = WorkerLimits.Of(settings),
            WorkerTraits = TraitsOf(settings, environment),
            MainLogs = settings.ErrorLogs,
            LogPaths = [.. logs.Keys],
            Logs = [.. logs.Values],
            Sockets = sockets,
            Record = MemoryFile.Create(),
        };
        using var writer = new BinaryWriter(MemoryFile.Open(handover.Record));
        handover.WriteHead(writer);
        files.Write(writer);
        return handover;
    }

    /// <summary>Takes the messages that make a handover.</summary>
    /// <param name="logs">Descriptors of <see cref="ChannelMessage.Logs"/> messages.</param>
    /// <param name="sockets">Descriptors of <see cref="ChannelMessage.Sockets"/> messages.</param>
    /// <param name="complete">The <see cref="ChannelMessage.Complete"/> message.</param>
    public static Handover FromMessages(IReadOnlyList<int> logs, IReadOnlyList<int> sockets, ReceivedMessage complete)
    {
        int memory = complete.Descriptors[0];
        using var reader = new BinaryReader(MemoryFile.Open(memory));
        Handover handover = ReadHead(reader);
        handover.Logs = logs;
        handover.Sockets = sockets;
        handover.Record = memory;
        return handover;
    }

    /// <summary>The record of the configuration; the caller wipes it when it was read.</summary>
    public RecordedFiles OpenFiles()
    {
        using var reader = new BinaryReader(MemoryFile.Open(Record));
        _ = ReadHead(reader);
        return RecordedFiles.Replay(reader);
    }

    /// <summary>Sends it all.</summary>
    /// <returns>False if the other side has gone or does not read.</returns>
    public bool Send(ProcessChannel channel) =>
        channel.Send(ChannelMessage.Begin)
        && SendDescriptors(channel, ChannelMessage.Logs, Logs)
        && SendDescriptors(channel, ChannelMessage.Sockets, Sockets)
        && channel.Send(ChannelMessage.Complete, descriptors: [Record]);

    /// <summary>Sends descriptors in as many messages as they need.</summary>
    public static bool SendDescriptors(ProcessChannel channel, ChannelMessage kind, IReadOnlyList<int> descriptors) => descriptors
        .Chunk(ProcessChannel.MaxDescriptors)
        .All(some => channel.Send(kind, descriptors: some));

    /// <summary>Other files under the same paths, after a rotation; those before are closed.</summary>
    public void ReplaceLogs(IReadOnlyList<int> logs)
    {
        CloseAll(Logs);
        Logs = logs;
    }

    /// <summary>No clients shall come any more.</summary>
    public void CloseSockets()
    {
        CloseAll(Sockets);
        Sockets = [];
    }

    /// <summary>The log that is standard error for children of a detached master; -1 = standard error itself.</summary>
    public int FindStandardError()
    {
        string? path = MainLogs.Any(log => log.Kind == ErrorLogTargetKind.StandardError)
            ? null
            : MainLogs.FirstOrDefault(log => log.Kind == ErrorLogTargetKind.File)?.Path;
        int index = path is null ? -1 : LogPaths.ToList().IndexOf(path);
        return index < 0 ? -1 : Logs[index];
    }

    /// <summary>The logs by path, to be given away: they are no longer this object's.</summary>
    public Dictionary<string, int> TakeLogs()
    {
        Dictionary<string, int> taken = LogPaths.Zip(Logs).ToDictionary(StringComparer.Ordinal);
        Logs = [];
        return taken;
    }

    /// <summary>The sockets, to be given away: they are no longer this object's.</summary>
    public IReadOnlyList<int> TakeSockets()
    {
        IReadOnlyList<int> taken = Sockets;
        Sockets = [];
        return taken;
    }

    public void Dispose()
    {
        CloseAll(Logs);
        CloseSockets();
        Logs = [];
        if (Record >= 0)
        {
            _ = Libc.close(Record);
            Record = -1;
        }
    }

    private static void CloseAll(IEnumerable<int> descriptors)
    {
        foreach (int descriptor in descriptors)
        {
            _ = Libc.close(descriptor);
        }
    }

    private static string TraitsOf(MainSettings settings, IReadOnlyList<string> environment) => string.Join(
        '\n',
        [
            string.Create(CultureInfo.InvariantCulture, $"{settings.User}:{settings.Group} {settings.WorkerProcesses} {settings.WorkerConnections}"),
            WorkerLimits.Of(settings).ToString(),
            settings.CpuAffinity?.ToString() ?? "",
            .. environment,
        ]);

    private void WriteHead(BinaryWriter writer)
    {
        writer.Write(FileVersion);
        writer.Write(PidFile);
        writer.Write(LockFile);
        writer.Write(User);
        writer.Write(UserId);
        writer.Write(GroupId);
        WriteTexts(writer, Environment);
        writer.Write(Limits.Priority);
        writer.Write(Limits.OpenFiles ?? -1);
        writer.Write(Limits.CoreBytes ?? -1);
        writer.Write(Limits.Directory ?? "");
        writer.Write(WorkerTraits);
        WriteTexts(writer, LogPaths);
        writer.Write(MainLogs.Count);
        foreach (ErrorLogSettings log in MainLogs)
        {
            writer.Write((int)log.Kind);
            writer.Write((int)log.Level);
            writer.Write(log.Path);
            writer.Write(log.MemoryBytes);
            SyslogSettings syslog = log.Syslog ?? new SyslogSettings();
            writer.Write(syslog.UnixPath);
            writer.Write(syslog.Server?.ToString() ?? "");
            writer.Write(syslog.Facility);
            writer.Write(syslog.Tag);
            writer.Write(syslog.NoHostName);
        }
    }

    private static Handover ReadHead(BinaryReader reader)
    {
        if (reader.ReadInt32() != FileVersion)
        {
            throw new InvalidDataException("a handover of another version");
        }

        return new Handover
        {
            PidFile = reader.ReadString(),
            LockFile = reader.ReadString(),
            User = reader.ReadString(),
            UserId = reader.ReadUInt32(),
            GroupId = reader.ReadUInt32(),
            Environment = ReadTexts(reader),
            Limits = ReadLimits(reader),
            WorkerTraits = reader.ReadString(),
            LogPaths = ReadTexts(reader),
            MainLogs = [.. Enumerable.Range(0, reader.ReadInt32()).Select(_ => ReadLog(reader))],
        };
    }

    private static WorkerLimits ReadLimits(BinaryReader reader) => new(
        reader.ReadInt32(),
        reader.ReadInt64() is var files and >= 0 ? files : null,
        reader.ReadInt64() is var core and >= 0 ? core : null,
        reader.ReadString() is { Length: > 0 } directory ? directory : null);

    private static ErrorLogSettings ReadLog(BinaryReader reader) => new()
    {
        Kind = (ErrorLogTargetKind)reader.ReadInt32(),
        Level = (LogLevel)reader.ReadInt32(),
        Path = reader.ReadString(),
        MemoryBytes = reader.ReadInt64(),
        Syslog = new SyslogSettings
        {
            UnixPath = reader.ReadString(),
            Server = System.Net.IPEndPoint.TryParse(reader.ReadString(), out System.Net.IPEndPoint? server) ? server : null,
            Facility = reader.ReadInt32(),
            Tag = reader.ReadString(),
            NoHostName = reader.ReadBoolean(),
        },
    };

    private static void WriteTexts(BinaryWriter writer, IReadOnlyList<string> texts)
    {
        writer.Write(texts.Count);
        foreach (string text in texts)
        {
            writer.Write(text);
        }
    }

    private static string[] ReadTexts(BinaryReader reader) =>
        [.. Enumerable.Range(0, reader.ReadInt32()).Select(_ => reader.ReadString())];
}
