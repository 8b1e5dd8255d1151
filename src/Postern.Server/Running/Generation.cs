using Postern.Config;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tls;
using Postern.Sessions;

namespace Postern.Server.Running;

/// <summary>
/// Everything one configuration brought to life: logs, TLS contexts, servers. A reload builds a new one beside it; sessions
/// keep the one they started with.
/// </summary>
internal sealed class Generation : IDisposable
{
    private Generation(MainSettings settings, ErrorLogSet logs, ErrorLog log, IReadOnlyList<ListenPlan> plans)
    {
        Settings = settings;
        Logs = logs;
        Log = log;
        Plans = plans;
    }

    public MainSettings Settings { get; }

    public ErrorLogSet Logs { get; }

    /// <summary>The main log.</summary>
    public ErrorLog Log { get; }

    /// <summary>The listening sockets this configuration wants.</summary>
    public IReadOnlyList<ListenPlan> Plans { get; }

    /// <summary>Opens logs and certificates.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="files">The log files of the process.</param>
    /// <param name="observer">Hears of logins; null = nobody.</param>
    /// <param name="faults">What could not be opened, in nginx's words.</param>
    /// <param name="serves">False if nobody is served here: TLS contexts that were not made while the configuration was read are left out.</param>
    /// <returns>Null if anything is wrong; nothing is left open then.</returns>
    public static Generation? TryBuild(
        MainSettings settings, LogFiles files, Action<LoginNotice>? observer, out List<ConfigMessage> faults, bool serves = true)
    {
        faults = [];
        var logs = new ErrorLogSet(TimeProvider.System, files);
        if (!logs.TryOpen(settings.ErrorLogs, out ErrorLog? log, out string? error))
        {
            faults.Add(Fault(error));
            logs.Dispose();
            return null;
        }

        List<ListenEntry> entries = [];
        foreach (MailServerSettings server in settings.Servers)
        {
            if (TryBuildServer(server, settings.DebugConnections, logs, log, observer, faults, serves) is { } built)
            {
                entries.AddRange(server.Listen.Select(listen => new ListenEntry(listen, built)));
            }
        }

        if (faults.Count > 0)
        {
            logs.Dispose();
            return null;
        }

        return new Generation(settings, logs, log, ListenPlan.Build(entries));
    }

    public void Dispose() => Logs.Dispose();

    private static MailServer? TryBuildServer(
        MailServerSettings settings,
        IReadOnlyList<AddressRange> debugConnections,
        ErrorLogSet logs,
        ErrorLog mainLog,
        Action<LoginNotice>? observer,
        List<ConfigMessage> faults,
        bool serves)
    {
        ErrorLog? log = mainLog;
        if (settings.ErrorLogs is { } own && !logs.TryOpen(own, out log, out string? error))
        {
            faults.Add(Fault(error));
            return null;
        }

        try
        {
            TlsContext? tls = settings.Tls.Context
                ?? (settings.Tls.Needed && serves ? TlsContextFactory.CreateServer(settings.Tls, MailProtocols.AlpnName(settings.Protocol)) : null);
            return new MailServer(settings, tls, log!) { LoginObserver = observer, DebugConnections = debugConnections };
        }
        catch (TlsSettingsException e)
        {
            faults.Add(Fault(e.Message));
            return null;
        }
    }

    private static ConfigMessage Fault(string text) => new(ConfigSeverity.Emerg, text, ConfigPosition.None);
}
