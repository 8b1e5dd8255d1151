using System.Diagnostics;
using System.Globalization;
using System.Text;
using Postern.Interop;
using Postern.Logging;
using Postern.Net.Listening;

namespace Postern.Server.Running;

/// <summary>
/// What serves: the loops, the listening sockets and the generation in force. Used on the main thread; loops answer through
/// its queue.
/// </summary>
/// <param name="orders">The main thread's queue.</param>
/// <param name="sockets">Owned by this object from now on.</param>
internal sealed class Service(OrderQueue orders, ListeningSockets sockets) : IDisposable
{
    /// <summary>Managed memory up to which <see cref="CollectOldGenerations"/> is worth its pause, in bytes.</summary>
    private const long MaxCollectedBytes = 64 * 1024 * 1024;

    /// <summary>The same after each rush of logins, which comes more often: some 20 ms, or 20,000 sessions.</summary>
    private const long MaxQuietlyCollectedBytes = 16 * 1024 * 1024;

    /// <summary>How often a collection may be made because memory is short, in milliseconds: it stops all loops.</summary>
    private const long CollectEveryMilliseconds = 5000;

    /// <summary>The same when a crowd has gone, by those who stay.</summary>
    private const int MaxCollectedConnections = 20_000;

    private readonly List<WorkerLoop> _loops = [];
    private long _collectedAt = long.MinValue / 2;
    private long _trimAt = -1;
    private long _trimBy;
    private readonly QuietMoment _quiet = new();
    private volatile bool _isWatching;
    private bool _isNoticed;
    private LoopWatch? _watch;
    private Generation? _generation;
    private Timer? _shutdownTimer;
    private int _running;

    public ListeningSockets Sockets => sockets;

    public Generation Generation => _generation!;

    public bool IsStarted => _generation is not null;

    /// <summary>Whether a loop still runs.</summary>
    public bool IsRunning => _running > 0;

    /// <summary>No new clients are taken any more.</summary>
    public bool IsQuitting { get; private set; }

    /// <summary>Not 0 once a loop has died.</summary>
    public int Status { get; private set; }

    /// <summary>How many loops a configuration asks for.</summary>
    public static int Loops(MainSettings settings) => Math.Max(1, settings.WorkerProcesses);

    /// <summary>How many loops there are, or will be with this configuration: their number does not change.</summary>
    public int LoopsFor(MainSettings settings) => _loops.Count > 0 ? _loops.Count : Loops(settings);

    /// <summary>Starts the loops. The generation's sockets are open.</summary>
    public void Start(Generation generation)
    {
        _generation = generation;
        generation.Logs.Commit();
        for (int i = 0; i < Loops(generation.Settings); i++)
        {
            _loops.Add(new WorkerLoop(
                i, generation.Settings, ended => orders.Add(() => OnLoopEnded(ended)), fault => orders.Add(() => OnLoopDied(fault)), LogFault));
        }

        _running = _loops.Count;
        _isWatching = true;
        CollectionNotice.Place(this);

        // Reading the configuration was a rush, too.
        _quiet.OnCollection(Environment.TickCount64, GC.GetTotalAllocatedBytes());
        ListenWithCurrentPlans();
        foreach (WorkerLoop loop in _loops)
        {
            loop.Loop.MemoryBecameShort = () => orders.Add(OnMemoryShort);
            loop.Loop.FreedMuchMemory = () => orders.Add(OnFreedMuchMemory);
            loop.Start();
        }
    }

    /// <summary>
    /// New clients get the next generation; sessions keep theirs. Its sockets are open; those it does not want are closed.
    /// </summary>
    public void Replace(Generation next)
    {
        List<ListeningSocket> gone = [.. sockets.All.Where(socket => !next.Plans.Any(plan => sockets.Find(plan) == socket))];
        next.Logs.Commit();
        _generation = next;
        ListenWithCurrentPlans();
        gone.ForEach(CloseSocket);
        CollectOldGenerations();
    }

    /// <summary>Finds out whether all loops turn; those that do not are named in the log when it is asked again.</summary>
    /// <param name="answered">Called on the main thread once all that still run have turned.</param>
    public void AskLoops(Action answered) => (_watch ??= new LoopWatch(orders, Log)).Ask(
        _loops.Where(loop => !loop.HasEnded).Select(loop => (loop.Index, loop.Loop)), Environment.TickCount64, answered);

    /// <summary>When <see cref="ObeyClock"/> has something to do, in milliseconds of <see cref="Environment.TickCount64"/>; -1 = never.</summary>
    public long Next => _trimAt < 0 ? _quiet.Next : _quiet.Next < 0 ? _trimAt : Math.Min(_trimAt, _quiet.Next);

    /// <summary>What is to be done at a certain time. On the main thread.</summary>
    public void ObeyClock()
    {
        switch (_quiet.Ask(Environment.TickCount64, GC.GetTotalAllocatedBytes()))
        {
            case Tidying.Garbage when GC.GetTotalMemory(forceFullCollection: false) <= MaxQuietlyCollectedBytes:
                CollectEverything();
                break;
            case Tidying.Nothing:
                break;
            default:
                orders.BeforeWaiting(IdlePages.Release);
                break;
        }

        if (_trimAt >= 0 && Environment.TickCount64 >= _trimAt)
        {
            if (Environment.TickCount64 < _trimBy && _loops.Sum(loop => loop.Loop.Connections) <= MaxCollectedConnections)
            {
                // What they left to the collector it would find with the next who come only.
                CollectEverything();
            }

            _trimAt = -1;
            _ = Libc.malloc_trim(0);
        }
    }

    /// <summary>Ends with the last session, or when <c>worker_shutdown_timeout</c> is over.</summary>
    public void Quit()
    {
        Log(LogLevel.Notice, "gracefully shutting down");
        if (IsQuitting)
        {
            return;
        }

        IsQuitting = true;
        int left = _loops.Count;
        foreach (WorkerLoop loop in _loops)
        {
            loop.Loop.Post(() =>
            {
                loop.Loop.BeginDraining();
                if (Interlocked.Decrement(ref left) == 0)
                {
                    // Now and not at the end: clients must be refused, not left waiting in the queue.
                    orders.Add(sockets.Dispose);
                }
            });
        }

        TimeSpan limit = Generation.Settings.WorkerShutdownTimeout;
        if (limit > TimeSpan.Zero)
        {
            _shutdownTimer = new Timer(
                _ => _loops.ForEach(loop => loop.Loop.Post(loop.Loop.ShutDownRemaining)), null, limit, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Ends after the loops' present turns; connections are simply closed.</summary>
    public void Stop()
    {
        Log(LogLevel.Notice, "exiting");
        StopLoops();
    }

    public void Log(LogLevel level, string message)
    {
        if (_generation?.Log is { } log && log.IsEnabled(level))
        {
            log.Write(level, Encoding.UTF8.GetBytes(message));
        }
    }

    public void Dispose()
    {
        _isWatching = false;
        _shutdownTimer?.Dispose();
        sockets.Dispose();
        _generation?.Dispose();
    }

    /// <summary>
    /// An old generation without sessions holds memory the collector knows nothing of, OpenSSL's, and descriptors: it is looked for
    /// when a new one arrives. That stops all loops for as long as it takes to go through what lives, some hundred bytes a session; where
    /// that is much, an old generation's share of memory is small, and it can wait for a collection that happens anyway.
    /// </summary>
    private void CollectOldGenerations()
    {
        long managed = GC.GetTotalMemory(forceFullCollection: false);
        if (managed > MaxCollectedBytes)
        {
            return;
        }

        long start = Stopwatch.GetTimestamp();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Log(LogLevel.Debug, string.Create(
            CultureInfo.InvariantCulture,
            $"memory of earlier configurations was collected in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:F1} ms, {managed / 1024} kB were managed"));
        _ = Libc.malloc_trim(0);
    }

    /// <summary>A collection that gives the kernel back what it can; all loops stand still meanwhile.</summary>
    private static void CollectEverything() =>
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

    /// <summary>What the collector and malloc hold without need may be what is missing.</summary>
    private void OnMemoryShort()
    {
        long now = Environment.TickCount64;
        if (now - _collectedAt >= CollectEveryMilliseconds)
        {
            _collectedAt = now;
            CollectEverything();
            _ = Libc.malloc_trim(0);
        }
    }

    /// <summary>
    /// A crowd has gone, or is going. malloc would keep its memory for ever, because some who stay lie between; it is given back once
    /// no more of them leave, or after a while, so that a service which is always busy does it seldom.
    /// </summary>
    private void OnFreedMuchMemory()
    {
        const long QuietMilliseconds = 1000;
        const long MostMilliseconds = 10_000;
        long now = Environment.TickCount64;
        _trimBy = _trimAt < 0 ? now + MostMilliseconds : _trimBy;
        _trimAt = Math.Min(now + QuietMilliseconds, _trimBy);
    }

    /// <summary>On the finalizer's thread.</summary>
    private void OnCollection()
    {
        if (!Volatile.Read(ref _isNoticed))
        {
            Volatile.Write(ref _isNoticed, true);
            orders.Add(() =>
            {
                Volatile.Write(ref _isNoticed, false);
                _quiet.OnCollection(Environment.TickCount64, GC.GetTotalAllocatedBytes());
            });
        }
    }

    private void StopLoops() => _loops.ForEach(loop => loop.Loop.Stop());

    private void OnLoopEnded(WorkerLoop loop)
    {
        _running--;
        loop.HasEnded = true;
        _watch?.OnAnswer(loop.Index);
    }

    private void OnLoopDied(Exception fault)
    {
        Log(LogLevel.Alert, $"event loop died: {fault.GetType().Name} {fault.StackTrace}".ReplaceLineEndings(" "));
        Status = 1;
        StopLoops();
    }

    private void ListenWithCurrentPlans()
    {
        foreach (ListenPlan plan in Generation.Plans)
        {
            ListeningSocket socket = sockets.Find(plan)!;
            _loops.ForEach(loop => loop.Listen(socket, plan, Generation.Log));
        }
    }

    private void CloseSocket(ListeningSocket socket)
    {
        sockets.Forget(socket);
        int users = _loops.Count;
        foreach (WorkerLoop loop in _loops)
        {
            loop.StopListening(socket, () =>
            {
                if (Interlocked.Decrement(ref users) == 0)
                {
                    orders.Add(() => sockets.Close(socket));
                }
            });
        }
    }

    /// <summary>The type and place say what went wrong; the message could repeat a client's bytes.</summary>
    private void LogFault(Exception fault) => Log(LogLevel.Alert, $"connection failed: {fault.GetType().Name} {fault.StackTrace?.Trim().Split('\n')[0]}");

    /// <summary>Garbage by which the collector tells that it has run: at its end each leaves another.</summary>
    private sealed class CollectionNotice(Service service)
    {
        ~CollectionNotice()
        {
            if (service._isWatching && !Environment.HasShutdownStarted)
            {
                service.OnCollection();
                Place(service);
            }
        }

        public static void Place(Service service) => _ = new CollectionNotice(service);
    }
}
