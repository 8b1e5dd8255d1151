using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Postern.Config;
using Postern.Interop;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Server.Configuration;
using Postern.Sessions;

namespace Postern.Server.Running;

/// <summary>
/// The process while it serves: loops, listening sockets, the current generation, and the signals that change them. One
/// thread, the main one, decides; signals and loops only put orders into its queue.
/// </summary>
/// <param name="streams">Where start-up messages go.</param>
/// <param name="observer">Hears of logins (<c>postern demo</c>); null = nobody.</param>
internal sealed class PosternServer(StandardStreams streams, Action<LoginNotice>? observer = null) : IServerRunner, IDisposable
{
    private const string MessagePrefix = "nginx: ";

    private readonly BlockingCollection<Order> _orders = [];
    private readonly ListeningSockets _sockets = new();
    private readonly List<WorkerLoop> _loops = [];
    private Generation? _generation;
    private int _running;

    private enum OrderKind
    {
        Stop,
        Quit,
        Reload,
        Reopen,
        ShutdownTimeout,
        NobodyListens,
        LoopEnded,
        LoopDied,
    }

    /// <summary>Called on the main thread once clients are accepted.</summary>
    public Action? Started { get; init; }

    public IReadOnlyList<ConfigMessage> Test(MainSettings settings, CommandLine commandLine)
    {
        using Generation? generation = Generation.TryBuild(settings, null, out List<ConfigMessage> faults);
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
                ListeningSocket.Open(plan, 1).Dispose();
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
        ApplyLimits(settings);
        _generation = Generation.TryBuild(settings, observer, out List<ConfigMessage> faults);
        if (_generation is null)
        {
            faults.ForEach(fault => streams.Error(MessagePrefix + fault.Render()));
            return 1;
        }

        LogConfiguration(messages);
        if (!_sockets.TryOpen(_generation.Plans, Loops(settings), ReportStart, out _))
        {
            return 1;
        }

        if (settings.PidFile.Length > 0 && PidFile.Write(settings.PidFile) is { } pidFault)
        {
            ReportStart(pidFault, true);
            _sockets.Dispose();
            return 1;
        }

        WarnWhatIsMissing(settings);
        LogStart();
        using SignalHandlers signals = HandleSignals();
        StartUpPages.Release();
        StartLoops(settings);
        Started?.Invoke();
        int status = ObeyOrders(commandLine);
        Finish(settings);
        return status;
    }

    /// <summary>Ends the server as SIGINT does. May be called from any thread.</summary>
    public void Stop() => _orders.Add(new Order(OrderKind.Stop));

    public void Dispose()
    {
        _sockets.Dispose();
        _orders.Dispose();
        _generation?.Dispose();
    }

    private static int Loops(MainSettings settings) => Math.Max(1, settings.WorkerProcesses);

    private static ConfigMessage Emerg(string text) => new(ConfigSeverity.Emerg, text, ConfigPosition.None);

    private void ApplyLimits(MainSettings settings)
    {
        // Threads made from here on inherit the priority.
        if (settings.WorkerPriority != 0 && Libc.setpriority(Libc.PRIO_PROCESS, 0, settings.WorkerPriority) != 0)
        {
            Warn($"setpriority({settings.WorkerPriority}) failed");
        }

        if (settings.WorkingDirectory is { } directory && Libc.chdir(directory) != 0)
        {
            Warn($"chdir(\"{directory}\") failed");
        }

        SetLimit(Libc.RLIMIT_NOFILE, settings.WorkerRlimitNofile);
        SetLimit(Libc.RLIMIT_CORE, settings.WorkerRlimitCore);

        static unsafe void SetLimit(int resource, long? value)
        {
            if (value is { } limit)
            {
                ulong* both = stackalloc ulong[2];
                both[0] = both[1] = (ulong)limit;

                // Refused to an unprivileged process that asks for more than its hard limit; then the old limit stays,
                // and the getrlimit line of the log shows it.
                _ = Libc.setrlimit(resource, both);
            }
        }
    }

    private void ReportStart(string message, bool error)
    {
        LogLevel level = error ? LogLevel.Emerg : LogLevel.Notice;
        if (error)
        {
            streams.Error($"{MessagePrefix}[emerg] {message}");
        }

        Log(level, message);
    }

    /// <summary>What was said about the configuration also goes to its log.</summary>
    private void LogConfiguration(IEnumerable<ConfigMessage> messages)
    {
        foreach (ConfigMessage message in messages)
        {
            string rendered = message.Render();
            Log(
                message.Severity switch
                {
                    ConfigSeverity.Notice => LogLevel.Notice,
                    ConfigSeverity.Warn => LogLevel.Warn,
                    ConfigSeverity.Error => LogLevel.Error,
                    ConfigSeverity.Crit => LogLevel.Crit,
                    _ => LogLevel.Emerg,
                },
                rendered[(rendered.IndexOf(']', StringComparison.Ordinal) + 2)..]);
        }
    }

    private void WarnWhatIsMissing(MainSettings settings)
    {
        if (settings.Daemon)
        {
            Warn("\"daemon on\" is not supported yet, postern stays in the foreground; say \"daemon off;\"");
        }

        if (settings.User is not null && Libc.geteuid() == 0)
        {
            Warn("\"user\" is not supported yet, postern keeps the privileges it was started with");
        }
    }

    private void Warn(string message)
    {
        streams.Error($"{MessagePrefix}[warn] {message}");
        Log(LogLevel.Warn, message);
    }

    private unsafe void LogStart()
    {
        if (!_generation!.Log.IsEnabled(LogLevel.Notice))
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

    private void StartLoops(MainSettings settings)
    {
        for (int i = 0; i < Loops(settings); i++)
        {
            _loops.Add(new WorkerLoop(
                i,
                settings.WorkerConnections,
                _ => _orders.Add(new Order(OrderKind.LoopEnded)),
                fault => _orders.Add(new Order(OrderKind.LoopDied, fault)),
                LogFault));
        }

        _running = _loops.Count;
        ListenWithCurrentPlans();
        _loops.ForEach(loop => loop.Start());
    }

    private void ListenWithCurrentPlans()
    {
        foreach (ListenPlan plan in _generation!.Plans)
        {
            ListeningSocket socket = _sockets.Find(plan)!;
            _loops.ForEach(loop => loop.Listen(socket, plan, _generation.Log));
        }
    }

    private SignalHandlers HandleSignals() => new(signal =>
    {
        OrderKind? kind = signal switch
        {
            SignalHandlers.Term or SignalHandlers.Int => OrderKind.Stop,
            SignalHandlers.Quit => OrderKind.Quit,
            SignalHandlers.Hup => OrderKind.Reload,
            SignalHandlers.Usr1 => OrderKind.Reopen,
            _ => null,
        };
        if (kind is { } order)
        {
            Log(LogLevel.Notice, SignalHandlers.Describe(signal));
            _orders.Add(new Order(order));
        }
    });

    /// <summary>Runs until all loops have ended.</summary>
    /// <returns>The exit code.</returns>
    private int ObeyOrders(CommandLine commandLine)
    {
        Timer? shutdownTimer = null;
        int status = 0;
        bool graceful = false;
        while (_running > 0)
        {
            Order order = _orders.Take();
            switch (order.Kind)
            {
                case OrderKind.Stop:
                    Log(LogLevel.Notice, "exiting");
                    _loops.ForEach(loop => loop.Loop.Stop());
                    break;
                case OrderKind.Quit:
                    Log(LogLevel.Notice, "gracefully shutting down");
                    graceful = true;
                    StopListening();
                    shutdownTimer ??= StartShutdownTimer();
                    break;
                case OrderKind.NobodyListens:
                    // Now and not at the end: clients must be refused, not left waiting in the queue.
                    _sockets.Dispose();
                    break;
                case OrderKind.ShutdownTimeout:
                    _loops.ForEach(loop => loop.Loop.Post(loop.Loop.ShutDownRemaining));
                    break;
                case OrderKind.Reload:
                    Reload(commandLine);
                    break;
                case OrderKind.Reopen:
                    Log(LogLevel.Notice, "reopening logs");
                    foreach (string fault in _generation!.Logs.Reopen())
                    {
                        Log(LogLevel.Emerg, fault);
                    }

                    break;
                case OrderKind.LoopDied:
                    Log(LogLevel.Alert, $"event loop died: {order.Fault?.GetType().Name} {order.Fault?.StackTrace}".ReplaceLineEndings(" "));
                    status = 2;
                    _loops.ForEach(loop => loop.Loop.Stop());
                    break;
                default:
                    _running--;
                    break;
            }
        }

        shutdownTimer?.Dispose();
        if (graceful)
        {
            Log(LogLevel.Notice, "exiting");
        }

        return status;
    }

    /// <summary>Each loop lets go of the listening sockets; when the last has, they can be closed.</summary>
    private void StopListening()
    {
        int left = _loops.Count;
        _loops.ForEach(loop => loop.Loop.Post(() =>
        {
            loop.Loop.BeginDraining();
            if (Interlocked.Decrement(ref left) == 0)
            {
                _orders.Add(new Order(OrderKind.NobodyListens));
            }
        }));
    }

    private Timer? StartShutdownTimer()
    {
        TimeSpan limit = _generation!.Settings.WorkerShutdownTimeout;
        return limit > TimeSpan.Zero
            ? new Timer(_ => _orders.Add(new Order(OrderKind.ShutdownTimeout)), null, limit, Timeout.InfiniteTimeSpan)
            : null;
    }

    /// <summary>A new generation beside the old one; on any fault the old one goes on unchanged.</summary>
    private void Reload(CommandLine commandLine)
    {
        Log(LogLevel.Notice, "reconfiguring");
        ConfigurationResult result = ConfigurationLoader.Load(commandLine.ToSource());
        LogConfiguration(result.AllMessages);
        if (result.Settings is null)
        {
            return;
        }

        Generation? next = Generation.TryBuild(result.Settings, observer, out List<ConfigMessage> faults);
        if (next is null)
        {
            faults.ForEach(fault => Log(LogLevel.Emerg, fault.Text));
            return;
        }

        if (!_sockets.TryOpen(next.Plans, _loops.Count, (message, error) => Log(error ? LogLevel.Emerg : LogLevel.Notice, message), out _))
        {
            next.Dispose();
            return;
        }

        List<ListeningSocket> gone = [.. _sockets.All.Where(socket => !next.Plans.Any(plan => _sockets.Find(plan) == socket))];
        _generation = next;
        ListenWithCurrentPlans();
        gone.ForEach(CloseSocket);
    }

    private void CloseSocket(ListeningSocket socket)
    {
        _sockets.Forget(socket);
        int users = _loops.Count;
        foreach (WorkerLoop loop in _loops)
        {
            loop.StopListening(socket, () =>
            {
                if (Interlocked.Decrement(ref users) == 0)
                {
                    socket.Dispose();
                }
            });
        }
    }

    private void Finish(MainSettings settings)
    {
        _sockets.Dispose();
        if (settings.PidFile.Length > 0 && PidFile.Remove(settings.PidFile) is { } fault)
        {
            Log(LogLevel.Alert, fault);
        }

        Log(LogLevel.Notice, "exit");
    }

    private void Log(LogLevel level, string message)
    {
        if (_generation?.Log is { } log && log.IsEnabled(level))
        {
            log.Write(level, Encoding.UTF8.GetBytes(message));
        }
    }

    /// <summary>The type and place say what went wrong; the message could repeat a client's bytes.</summary>
    private void LogFault(Exception fault) => Log(LogLevel.Alert, $"connection failed: {fault.GetType().Name} {fault.StackTrace?.Trim().Split('\n')[0]}");

    private sealed record Order(OrderKind Kind, Exception? Fault = null);
}
