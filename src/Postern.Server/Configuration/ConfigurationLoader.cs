using System.Globalization;
using System.Text;
using Postern.Config;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Sessions;

namespace Postern.Server.Configuration;

/// <summary>Reads a configuration file, and what belongs to it, into <see cref="MainSettings"/>. Has no effect on anything else.</summary>
public static class ConfigurationLoader
{
    /// <summary>All tables.</summary>
    internal static IReadOnlyList<Directive> Directives { get; } =
    [
        .. MainDirectives.Table,
        .. ErrorLogDirective.Table,
        .. EventsDirectives.Table,
        .. MailDirectives.Table,
    ];

    public static ConfigurationResult Load(ConfigurationSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        string path = source.ConfigPath;
        ConfigEnvironment environment = new()
        {
            Prefix = source.PrefixDirectory,
            ConfigDirectory = path[..(path.LastIndexOf('/') + 1)],
            ResolveHost = source.ResolveHost,
            DefersTls = source.DefersTls,
        };
        ConfigReader reader = new(Directives, environment);
        ConfigScope main = new(parent: null, ConfigPosition.None);
        if (source.Directives is not null)
        {
            reader.ReadParameter(Encoding.UTF8.GetBytes(source.Directives), main);
        }

        reader.ReadMainFile(path, main);
        MainSettings? settings = reader.HasErrors ? null : Build(main, source, environment);
        List<ConfigMessage> final = settings is null ? [] : [.. Check(main, settings)];
        return new ConfigurationResult
        {
            Settings = final.Exists(message => message.IsError) ? null : settings,
            ConfigPath = path,
            Messages = reader.Messages,
            FinalMessages = final,
            Files = reader.Files,
        };
    }

    private static MainSettings Build(ConfigScope main, ConfigurationSource source, ConfigEnvironment environment)
    {
        ConfigScope events = main.GetOwn(EventsDirectives.Block) ?? new ConfigScope(parent: null, ConfigPosition.None);
        return new MainSettings
        {
            User = main.GetOwn(MainDirectives.User)?.User,
            Group = main.GetOwn(MainDirectives.User)?.Group,
            WorkerProcesses = main.GetOwn(MainDirectives.WorkerProcesses),
            WorkerConnections = events.GetOwn(EventsDirectives.WorkerConnections),
            DebugConnections = events.GetOwn(EventsDirectives.DebugConnections),
            MultiAccept = events.GetOwn(EventsDirectives.MultiAccept),
            Daemon = main.GetOwn(MainDirectives.Daemon),
            MasterProcess = main.GetOwn(MainDirectives.MasterProcess),
            PidFile = environment.UnderPrefix(main.GetOwn(MainDirectives.PidFile) ?? DefaultPaths.PidFile),
            LockFile = environment.UnderPrefix(main.GetOwn(MainDirectives.LockFile) ?? DefaultPaths.LockFile),
            ErrorLogs = ErrorLogDirective.WithDefault(
                main.GetOwn(ErrorLogDirective.MainLogs), source.ErrorLog ?? DefaultPaths.ErrorLog, environment),
            WorkerShutdownTimeout = main.GetOwn(MainDirectives.WorkerShutdownTimeout),
            WorkerRlimitNofile = main.GetOwn(MainDirectives.WorkerRlimitNofile),
            WorkerRlimitCore = main.GetOwn(MainDirectives.WorkerRlimitCore),
            WorkerPriority = main.GetOwn(MainDirectives.WorkerPriority),
            CpuAffinity = main.GetOwn(MainDirectives.Affinity),
            Environment = main.GetOwn(MainDirectives.EnvironmentVariables),
            WorkingDirectory = main.GetOwn(MainDirectives.WorkingDirectory),
            Servers = main.GetOwn(MailDirectives.Servers),
        };
    }

    /// <summary>What only the whole configuration can be wrong about, in nginx's order.</summary>
    private static IEnumerable<ConfigMessage> Check(ConfigScope main, MainSettings settings)
    {
        if (!main.Sets(EventsDirectives.Block))
        {
            yield return Emerg("no \"events\" section in configuration");
            yield break;
        }

        if (settings.CpuAffinity is { Automatic: false, Masks.Count: > 1 } affinity && affinity.Masks.Count != settings.WorkerProcesses)
        {
            yield return new ConfigMessage(
                ConfigSeverity.Warn,
                "the number of \"worker_processes\" is not equal to the number of \"worker_cpu_affinity\" masks, using last mask for remaining worker processes",
                ConfigPosition.None);
        }

        int sockets = CountSockets([.. settings.Servers.SelectMany(server => server.Listen)]);
        if (settings.WorkerConnections < sockets + 1)
        {
            yield return Emerg(string.Create(
                CultureInfo.InvariantCulture,
                $"{settings.WorkerConnections} worker_connections are not enough for {sockets} listening sockets"));
        }
    }

    /// <summary>Beside a wildcard, other addresses of its port have sockets only if they ask for one (mail-proxy reference 2.4).</summary>
    private static int CountSockets(IReadOnlyCollection<ListenSettings> listens) => listens
        .GroupBy(listen => (listen.Address.Family, listen.Address.Port))
        .Sum(group => group.Key.Family != AddressFamilyKind.Unix && group.Any(listen => listen.Address.IsWildcard)
            ? group.Count(listen => listen.Address.IsWildcard || listen.OwnSocket)
            : group.Count());

    private static ConfigMessage Emerg(string text) => new(ConfigSeverity.Emerg, text, ConfigPosition.None);
}
