using System.Text;
using Postern.Config;
using Postern.Logging;
using Postern.Server.Configuration;
using Postern.Server.Running;

namespace Postern.Server.Processes;

/// <summary>
/// Reads a changed configuration with the master's privileges: everything that can be wrong shows here, before anything changes.
/// Opens what is new, hands it all to the master and ends, and with it whatever the reading needed.
/// </summary>
internal static class LoaderProcess
{
    /// <param name="arguments">The master's.</param>
    /// <returns>0 if the new configuration may come into force.</returns>
    public static int Run(IReadOnlyList<string> arguments)
    {
        using var inbox = new HandoverInbox(ProcessRole.Current.Channel);
        if (inbox.Receive(wait: true) is not { } current || CommandLine.Parse(arguments, out _) is not { } commandLine)
        {
            return 1;
        }

        using RecordedFiles files = RecordedFiles.Record();
        ConfigFiles.Current = files;
        ConfigurationResult result = ConfigurationLoader.Load(commandLine.ToSource());
        foreach (ConfigMessage message in result.AllMessages)
        {
            Send(inbox.Channel, ConfigLog.LevelOf(message), ConfigLog.TextOf(message));
        }

        if (result.Settings is not { } settings)
        {
            return 1;
        }

        if (settings.LockFile != current.LockFile)
        {
            Send(inbox.Channel, LogLevel.Emerg, ConfigLog.LockFileChanged);
            settings = settings with { LockFile = current.LockFile };
        }

        return TryHandOver(settings, files, current, inbox.Channel) ? 0 : 1;
    }

    /// <summary>Opens logs and sockets.</summary>
    /// <param name="settings">The new configuration.</param>
    /// <param name="files">What it was read from.</param>
    /// <param name="sockets">Those there are already.</param>
    /// <param name="report">Takes what is wrong.</param>
    /// <returns>Null if something is wrong.</returns>
    public static Handover? Prepare(MainSettings settings, RecordedFiles files, ListeningSockets sockets, Action<LogLevel, string> report)
    {
        var opened = new Dictionary<string, int>(StringComparer.Ordinal);
        var logFiles = new LogFiles(path => opened.TryGetValue(path, out int known) ? Descriptors.Duplicate(known) : opened[path] = LogFiles.Open(path));
        using Generation? generation = Generation.TryBuild(settings, logFiles, null, out List<ConfigMessage> faults, serves: false);
        faults.ForEach(fault => report(LogLevel.Emerg, fault.Text));
        if (generation is null
            || !sockets.TryOpen(generation.Plans, Service.Loops(settings), report, out _))
        {
            return null;
        }

        sockets.Configure(generation.Plans, report);
        WorkerLimits.CompareConnections(settings, warning => report(LogLevel.Warn, warning));

        // The generation ends with this process, or before; the handover needs descriptors of its own.
        Dictionary<string, int> logs = opened.ToDictionary(log => log.Key, log => Descriptors.Duplicate(log.Value), StringComparer.Ordinal);
        return Handover.Create(settings, files, WorkerEnvironment.Of(settings), logs, [.. sockets.All.SelectMany(socket => socket.Descriptors)]);
    }

    private static bool TryHandOver(MainSettings settings, RecordedFiles files, Handover current, ProcessChannel channel)
    {
        // Whatever becomes of this process, the files of unix sockets are the master's.
        var sockets = new ListeningSockets
        {
            KeepFiles = true,
            UnixFileMade = path => _ = channel.Send(ChannelMessage.UnixFile, Encoding.UTF8.GetBytes(path)),
        };
        sockets.Inherit(current.TakeSockets());
        using Handover? next = Prepare(settings, files, sockets, (level, text) => Send(channel, level, text));
        return next is not null && next.Send(channel);
    }

    private static void Send(ProcessChannel channel, LogLevel level, string text) =>
        _ = channel.Send(ChannelMessage.Line, [(byte)level, .. Encoding.UTF8.GetBytes(text)]);
}
