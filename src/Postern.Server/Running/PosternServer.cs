using System.Globalization;
using System.Text;
using Postern.Config;
using Postern.Interop;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Server.Configuration;
using Postern.Server.Processes;
using Postern.Sessions;

namespace Postern.Server.Running;

/// <summary>
/// The process while it serves. One thread, the main one, decides; signals and loops only put orders into its queue.
/// </summary>
/// <param name="streams">Where start-up messages go.</param>
/// <param name="observer">Hears of logins (<c>postern demo</c>); null = nobody.</param>
internal sealed class PosternServer(StandardStreams streams, Action<LoginNotice>? observer = null) : IServerRunner
{
    private const string MessagePrefix = "nginx: ";

    private readonly LogFiles _logFiles = new();
    private ErrorLog _log = ErrorLog.None;
    private MainSettings? _startSettings;

    /// <summary>What the configuration was read from.</summary>
    public RecordedFiles Recorded { get; } = Detachment.TakeRecord() ?? RecordedFiles.Record();

    /// <summary>Called on the main thread once clients are accepted.</summary>
    public Action? Started { get; init; }

    public IReadOnlyList<ConfigMessage> Test(MainSettings settings, CommandLine commandLine)
    {
        using Generation? generation = Generation.TryBuild(settings, new LogFiles(), null, out List<ConfigMessage> faults);
        if (generation is null)
        {
            return faults;
        }

        if (PidFile.Test(settings.PidFile) is { } pidFault)
        {
            faults.Add(Emerg(pidFault));
            return faults;
        }

        foreach (ListenPlan plan in generation.Plans)
        {
            try
            {
                ListeningSocket.Open(plan, 1).Close(removeFile: true);
            }
            catch (SystemCallException e) when (e.IsAddressInUse)
            {
                // The server itself may be running.
            }
            catch (SystemCallException e)
            {
                faults.Add(Emerg(e.Message));
            }
        }

        return faults;
    }

    public int Run(MainSettings settings, IReadOnlyList<ConfigMessage> messages, CommandLine commandLine)
    {
        // From here on files are what they are at the time.
        ConfigFiles.Current = DiskFiles.Instance;
        ServerNaming.NameProcess();
        try
        {
            if (settings.Daemon && !Detachment.IsDetached && !InheritedSockets.FromUpgrade)
            {
                return Detachment.Run(Recorded);
            }

            if (StartsWorker(settings))
            {
                return RunMaster(settings, messages, commandLine);
            }

            // Nobody will ask for the keys again.
            Recorded.Dispose();
            return RunAlone(settings, messages, commandLine);
        }
        catch (SystemCallException e)
        {
            ReportStart(LogLevel.Emerg, e.Message);
            return 1;
        }
    }

    public bool MayStartWorker => Libc.geteuid() == 0;

    public bool StartsWorker(MainSettings settings) => settings.MasterProcess && MayStartWorker;

    private int RunMaster(MainSettings settings, IReadOnlyList<ConfigMessage> messages, CommandLine commandLine)
    {
        using var logs = new ErrorLogSet(TimeProvider.System, _logFiles);
        if (!TryOpenLog(logs, settings))
        {
            return 1;
        }

        LogConfiguration(messages);
        var sockets = new ListeningSockets();
        sockets.Inherit(InheritedSockets.Take());
        Handover? handover = LoaderProcess.Prepare(settings, Recorded, sockets, ReportStart);
        if (handover is null || !TryWritePidFile(settings))
        {
            sockets.Dispose();
            return 1;
        }

        LogStart();
        List<string> faults = [];
        var reading = new StartMessages(messages.Select(ConfigLog.TextOf), (level, text) =>
        {
            if (level <= LogLevel.Crit)
            {
                faults.Add(text);
                return;
            }

            Log(level, text);
            if (level is LogLevel.Error or LogLevel.Warn)
            {
                streams.Error($"{MessagePrefix}[{LogLevelNames.Of(level)}] {text}");
            }
        },
        () =>
        {
            // The master has descriptors of its own: a log that is rotated away must not be held open here.
            _log = ErrorLog.None;
            logs.Dispose();
            Recorded.Dispose();
        });
        if (MasterProcess.Run(handover, reading) is int status)
        {
            return status;
        }

        Explain(faults, commandLine);
        return 1;
    }

    /// <summary>The log of the start. Opened here so that no variable of the caller, who stays as long as the master, keeps it from being closed.</summary>
    private bool TryOpenLog(ErrorLogSet logs, MainSettings settings)
    {
        if (logs.TryOpen(settings.ErrorLogs, out ErrorLog? log, out string? error))
        {
            _log = log;
            return true;
        }

        ReportStart(LogLevel.Emerg, error);
        return false;
    }

    /// <summary>
    /// The worker could not use its configuration. What is wrong with a file shows best to whoever may read it.
    /// </summary>
    /// <param name="faults">What the worker said.</param>
    private void Explain(List<string> faults, CommandLine commandLine)
    {
        // Not from the disk again: a named pipe has nothing more to give.
        ConfigFiles.Current = Recorded;
        string[] found = [.. ConfigurationLoader.Load(commandLine.ToSource()).AllMessages.Where(message => message.IsError).Select(ConfigLog.TextOf)];
        foreach (string fault in found.Length > 0 ? found : faults.DefaultIfEmpty("the worker process cannot serve, its log says why"))
        {
            ReportStart(LogLevel.Emerg, fault);
        }

        Recorded.Dispose();
    }

    private int RunAlone(MainSettings settings, IReadOnlyList<ConfigMessage> messages, CommandLine commandLine)
    {
        _startSettings = settings;
        WorkerLimits limits = WorkerLimits.Of(settings);
        limits.Raise(Warn);
        _ = limits.EnterDirectory(Warn);
        using var signals = new ProcessSignals();
        using var orders = new OrderQueue();
        using var service = new Service(orders, new ListeningSockets());
        Generation? first = Generation.TryBuild(settings, _logFiles, observer, out List<ConfigMessage> faults);
        if (first is null)
        {
            faults.ForEach(fault => streams.Error(MessagePrefix + fault.Render()));
            return 1;
        }

        _log = first.Log;
        LogConfiguration(messages);
        service.Sockets.Inherit(InheritedSockets.Take());
        if (!service.Sockets.TryOpen(first.Plans, Service.Loops(settings), ReportStart, out _) || !TryWritePidFile(settings))
        {
            return 1;
        }

        service.Sockets.Configure(first.Plans, ReportStart);
        WorkerLimits.CompareConnections(settings, warning => ReportStart(LogLevel.Warn, warning));
        LogStart();
        using var writer = LogWriter.Start();

        // It reads files when it is first used, which belongs to starting.
        _ = LinuxSystemCalls.Instance;
        IdlePages.PrepareAndRelease();
        service.Start(first);
        Started?.Invoke();
        Detachment.Complete(settings.ErrorLogs);
        ServiceManager.Ready();
        var upgrade = new BinaryUpgrade(Log);
        var watchdog = Watchdog.OfThisProcess();
        while (service.IsRunning)
        {
            orders.WaitAndRun([signals.Descriptor], OrderQueue.TimeoutUntil(Earlier(watchdog.Next, service.Next)));
            while (signals.TryRead(out ReceivedSignal signal))
            {
                Obey(signal, service, upgrade, commandLine);
            }

            service.ObeyClock();
            if (watchdog.IsDue(Environment.TickCount64))
            {
                service.AskLoops(ServiceManager.Alive);
            }
        }

        Finish(service, upgrade.PidFile(service.Generation.Settings.PidFile));
        return service.Status;
    }

    /// <summary>The earlier of two times, of which -1 never comes.</summary>
    private static long Earlier(long one, long other) => one < 0 ? other : other < 0 ? one : Math.Min(one, other);

    private bool TryWritePidFile(MainSettings settings)
    {
        if (settings.PidFile.Length == 0)
        {
            return true;
        }

        string? fault = PidFile.Owner(settings.PidFile) is int owner
            ? string.Create(CultureInfo.InvariantCulture, $"pid file \"{settings.PidFile}\" names the running process {owner}, stop it first or give this one another \"pid\"")
            : PidFile.Write(settings.PidFile);
        if (fault is not null)
        {
            ReportStart(LogLevel.Emerg, fault);
        }

        return fault is null;
    }

    private static ConfigMessage Emerg(string text) => new(ConfigSeverity.Emerg, text, ConfigPosition.None);

    private void Obey(ReceivedSignal signal, Service service, BinaryUpgrade upgrade, CommandLine commandLine)
    {
        string? action = signal.Number switch
        {
            ProcessSignals.Term or ProcessSignals.Int => "exiting",
            ProcessSignals.Quit => "shutting down",
            ProcessSignals.Hup => "reconfiguring",
            ProcessSignals.Usr1 => "reopening logs",
            ProcessSignals.Usr2 => upgrade.Action,
            _ => null,
        };
        Log(LogLevel.Notice, ProcessSignals.Describe(signal, action));
        switch (signal.Number)
        {
            case ProcessSignals.Term or ProcessSignals.Int:
                ServiceManager.Stopping();
                service.Stop();
                break;
            case ProcessSignals.Quit:
                ServiceManager.Stopping();
                upgrade.StopServing();
                service.Quit();
                break;
            case ProcessSignals.Hup when !service.IsQuitting:
                ServiceManager.Reloading();
                Reload(service, commandLine);
                ServiceManager.Ready();
                break;
            case ProcessSignals.Usr1:
                Reopen();
                Detachment.PointStandardError(service.Generation.Settings.ErrorLogs);
                break;
            case ProcessSignals.Usr2 when !service.IsQuitting:
                upgrade.Start(service.Generation.Settings.PidFile, [.. service.Sockets.All.SelectMany(socket => socket.Descriptors)]);
                service.Sockets.KeepFiles = upgrade.OthersServe;
                break;
            case ProcessSignals.Child:
                Reap(service, upgrade);
                break;
            default:
                // WINCH comes whenever a terminal changes its size.
                break;
        }
    }

    private void ReportStart(LogLevel level, string message)
    {
        if (level <= LogLevel.Warn)
        {
            streams.Error($"{MessagePrefix}[{LogLevelNames.Of(level)}] {message}");
        }

        Log(level, message);
    }

    /// <summary>What was said about the configuration also goes to its log.</summary>
    private void LogConfiguration(IEnumerable<ConfigMessage> messages)
    {
        foreach (ConfigMessage message in messages)
        {
            Log(ConfigLog.LevelOf(message), ConfigLog.TextOf(message));
        }
    }

    private void Warn(string message)
    {
        streams.Error($"{MessagePrefix}[warn] {message}");
        Log(LogLevel.Warn, message);
    }

    private unsafe void LogStart()
    {
        if (!_log.IsEnabled(LogLevel.Notice))
        {
            return;
        }

        Log(LogLevel.Notice, "using the \"epoll\" event method");
        Log(LogLevel.Notice, PosternVersion.Text);
        Log(LogLevel.Notice, "OS: " + KernelVersion());
        ulong* limits = stackalloc ulong[2];
        if (Libc.getrlimit(Libc.RLIMIT_NOFILE, limits) == 0)
        {
            Log(LogLevel.Notice, string.Create(CultureInfo.InvariantCulture, $"getrlimit(RLIMIT_NOFILE): {limits[0]}:{limits[1]}"));
        }
    }

    /// <summary>As nginx prints it: <c>Linux 6.1.0</c>.</summary>
    private static string KernelVersion()
    {
        const string Release = "/proc/sys/kernel/osrelease";
        return "Linux " + (File.Exists(Release) ? File.ReadAllText(Release).Trim() : "");
    }

    private void Reap(Service service, BinaryUpgrade upgrade)
    {
        while (ChildEnd.Next() is ChildEnd end)
        {
            if (end.Id == upgrade.Child)
            {
                (LogLevel level, string text) = end.Describe("new binary process");
                Log(level, text);
                service.Sockets.KeepFiles = !upgrade.OnChildEnded(service.Generation.Settings.PidFile);
            }
        }
    }

    private void Reopen()
    {
        Log(LogLevel.Notice, "reopening logs");
        foreach (string fault in _logFiles.Reopen())
        {
            Log(LogLevel.Emerg, fault);
        }
    }

    /// <summary>A new generation beside the old one; on any fault the old one goes on unchanged.</summary>
    private void Reload(Service service, CommandLine commandLine)
    {
        Log(LogLevel.Notice, "reconfiguring");
        ConfigurationResult result = ConfigurationLoader.Load(commandLine.ToSource());
        LogConfiguration(result.AllMessages);
        if (result.Settings is not { } settings)
        {
            return;
        }

        string lockFile = service.Generation.Settings.LockFile;
        if (settings.LockFile != lockFile)
        {
            Log(LogLevel.Emerg, ConfigLog.LockFileChanged);
            settings = settings with { LockFile = lockFile };
        }

        Generation? next = Generation.TryBuild(settings, _logFiles, observer, out List<ConfigMessage> faults);
        if (next is null)
        {
            faults.ForEach(fault => Log(LogLevel.Emerg, fault.Text));
            return;
        }

        string oldPidFile = service.Generation.Settings.PidFile;
        if (next.Settings.PidFile != oldPidFile && PidFile.Test(next.Settings.PidFile) is { } pidFault)
        {
            Log(LogLevel.Emerg, pidFault);
            next.Dispose();
            return;
        }

        if (!service.Sockets.TryOpen(next.Plans, service.LoopsFor(next.Settings), Log, out _))
        {
            next.Dispose();
            return;
        }

        service.Sockets.Configure(next.Plans, Log);
        foreach (string name in FixedAtStart(_startSettings!, next.Settings))
        {
            Log(LogLevel.Warn, $"\"{name}\" of a process without a master is changed by a restart only");
        }

        service.Replace(next);
        _log = next.Log;
        if (PidFile.Move(oldPidFile, next.Settings.PidFile) is { } moveFault)
        {
            Log(LogLevel.Alert, moveFault);
        }
    }

    /// <summary>Directives whose change a running process cannot follow; with a master another worker does.</summary>
    private static IEnumerable<string> FixedAtStart(MainSettings old, MainSettings next) => new (string Name, bool Changed)[]
    {
        ("worker_processes", Service.Loops(old) != Service.Loops(next)),
        ("worker_connections", old.WorkerConnections != next.WorkerConnections),
        ("worker_rlimit_nofile", old.WorkerRlimitNofile != next.WorkerRlimitNofile),
        ("worker_rlimit_core", old.WorkerRlimitCore != next.WorkerRlimitCore),
        ("worker_priority", old.WorkerPriority != next.WorkerPriority),
        ("worker_cpu_affinity", old.CpuAffinity?.ToString() != next.CpuAffinity?.ToString()),
        ("working_directory", old.WorkingDirectory != next.WorkingDirectory),
    }.Where(directive => directive.Changed).Select(directive => directive.Name);

    private void Finish(Service service, string pidFile)
    {
        service.Sockets.Dispose();
        if (pidFile.Length > 0 && PidFile.Remove(pidFile) is { } fault)
        {
            Log(LogLevel.Alert, fault);
        }

        if (service.IsQuitting)
        {
            Log(LogLevel.Notice, "exiting");
        }

        Log(LogLevel.Notice, "exit");
    }

    private void Log(LogLevel level, string message)
    {
        if (_log.IsEnabled(level))
        {
            _log.Write(level, Encoding.UTF8.GetBytes(message));
        }
    }
}
