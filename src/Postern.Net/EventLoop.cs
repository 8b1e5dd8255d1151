using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;
using Postern.Net.Tls;

namespace Postern.Net;

/// <summary>
/// One thread, one epoll instance, and the connections that live and die on it. Nothing on a loop may block.
/// </summary>
/// <remarks>
/// A turn: wait for events, hand each to its source, run what other threads posted, fire timers, run what was put off
/// for fairness. Whatever a connection wrote during its part of the turn leaves in one send(2) when the next connection
/// writes or the part ends (<see cref="FlushOwner"/>).
/// </remarks>
public sealed unsafe class EventLoop : IDisposable
{
    private const int MaxEventsPerTurn = 256;

    private readonly int _epoll;
    private readonly WakeUp? _wakeUp;
    private readonly byte* _events;
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly Queue<IDeferred> _deferred = new();
    private EventSource?[] _table = new EventSource?[64];
    private uint[] _generations = new uint[64];
    private readonly Stack<int> _freeIndexes = new();
    private int _tableUsed;
    private Connection? _outOwner;

    /// <summary>Set after something was put into <see cref="_posted"/>: most turns need not look.</summary>
    private volatile bool _hasPosted;
    private bool _stopRequested;
    private int _nextToGiveUp;

    /// <param name="system">The kernel, or a script.</param>
    /// <param name="maxConnections">
    /// <c>worker_connections</c>: the most sources this loop registers; beyond it <see cref="TryReserve"/> says no.
    /// </param>
    public EventLoop(SystemCalls system, int maxConnections = int.MaxValue)
    {
        System = system;
        MaxConnections = maxConnections;
        Buffers = new LoopBuffers();
        _events = (byte*)NativeMemory.Alloc((nuint)(MaxEventsPerTurn * EpollEvents.Size));
        Memory = new MemoryGate(system);
        Now = system.Milliseconds;
        Timers = new TimerWheel(Now);
        if (system is LinuxSystemCalls)
        {
            _epoll = Libc.epoll_create1(Libc.EPOLL_CLOEXEC);
            if (_epoll < 0)
            {
                throw SystemCallException.FromErrno("epoll_create1()", Marshal.GetLastPInvokeError());
            }

            _wakeUp = new WakeUp(this);
        }
    }

    public SystemCalls System { get; }

    public TimerWheel Timers { get; }

    /// <summary>Milliseconds of the loop's clock at the start of this turn.</summary>
    public long Now { get; private set; }

    /// <summary>The most connections (listening, client, upstream, auth) this loop holds at a time.</summary>
    public int MaxConnections { get; }

    /// <summary>Connections this loop holds now.</summary>
    public int Connections { get; private set; }

    /// <summary>Set when the loop shall take no new clients; it ends with its last connection.</summary>
    public bool IsDraining { get; private set; }

    /// <summary>Set when the time for a graceful stop is over: a dialogue that was busy elsewhere ends at its next wait.</summary>
    internal bool IsShutDown { get; private set; }

    /// <summary>
    /// Where a dialogue composes what it writes next. Reset before use; what is in it does not survive an await.
    /// </summary>
    public ScratchWriter Scratch { get; } = new();

    /// <summary>For what may be a password and has to outlive a turn.</summary>
    public SecretBuffers Secrets { get; } = new();

    /// <summary>The epoll descriptor, for sources that register themselves (listeners).</summary>
    internal int Epoll => _epoll;

    internal LoopBuffers Buffers { get; }

    /// <summary>Whether there is memory for more.</summary>
    internal MemoryGate Memory { get; }

    /// <summary>Called on the loop when memory has become short.</summary>
    public Action? MemoryBecameShort
    {
        get => Memory.BecameShort;
        set => Memory.BecameShort = value;
    }

    /// <summary>Called on the loop each time that much memory has been freed.</summary>
    public Action? FreedMuchMemory
    {
        get => Memory.FreedMuch;
        set => Memory.FreedMuch = value;
    }

    /// <summary>The BIO shared by all SSL objects of this loop; made when the first is needed.</summary>
    internal TlsBio Bio => field ??= new TlsBio();

    /// <summary>Runs until <see cref="Stop"/>, or when draining until the last connection is gone.</summary>
    public void Run()
    {
        while (!_stopRequested && !(IsDraining && Connections == 0))
        {
            RunOnce();
        }
    }

    /// <summary>One turn. Waits for events as long as nothing else is to be done.</summary>
    public void RunOnce()
    {
        int timeout = _deferred.Count > 0 || _hasPosted ? 0 : Timers.NextDelayMilliseconds(System.Milliseconds);
        int count = System.Wait(_epoll, _events, MaxEventsPerTurn, timeout);
        Now = System.Milliseconds;
        for (int i = 0; i < count; i++)
        {
            Dispatch(EpollEvents.Data(_events, i), EpollEvents.Events(_events, i));
        }

        if (_hasPosted)
        {
            RunPosted();
        }

        Timers.Advance(Now);
        FlushOwner();
        for (int put = _deferred.Count; put > 0; put--)
        {
            _deferred.Dequeue().RunDeferred();
            FlushOwner();
        }

        Memory.Refresh(Now);
        if (Memory.MustGiveUp)
        {
            Memory.MustGiveUp = false;
            GiveUpSome();
        }
    }

    /// <summary>Runs the action on the loop in its next turn. May be called from any thread.</summary>
    public void Post(Action action)
    {
        _posted.Enqueue(action);
        _hasPosted = true;
        _wakeUp?.Wake();
    }

    /// <summary>Ends <see cref="Run"/> after the current turn. May be called from any thread.</summary>
    public void Stop() => Post(() => _stopRequested = true);

    /// <summary>From now on the loop ends with its last connection. Call on the loop.</summary>
    public void BeginDraining()
    {
        IsDraining = true;
        DrainingStarted?.Invoke();
    }

    /// <summary>
    /// Hears of exceptions that reached the loop: mistakes of ours, which must cost no more than the connection they met.
    /// </summary>
    public Action<Exception>? FaultObserver { get; set; }

    /// <summary>Raised on the loop when no new clients shall come: listeners close, spare connections too.</summary>
    public event Action? DrainingStarted;

    /// <summary>Raised on the loop when <c>worker_connections</c> are used up: spare connections are given up then.</summary>
    public event Action? PlacesWanted;

    /// <summary>Continues the awaiting dialogue in the next turn, after others had theirs.</summary>
    public YieldAwaitable YieldTurn() => new(this);

    /// <summary>Ends everything that is still there because the time for a graceful stop is over. Call on the loop.</summary>
    public void ShutDownRemaining()
    {
        IsShutDown = true;
        for (int i = 0; i < _tableUsed; i++)
        {
            _table[i]?.OnShutdownTimeout();
            FlushOwner();
        }
    }

    /// <summary>Puts work at the end of the loop's queue: it goes on in the next turn, after others had theirs.</summary>
    internal void Defer(IDeferred work) => _deferred.Enqueue(work);

    /// <summary>Takes one of the loop's connection places; false when <c>worker_connections</c> are used up.</summary>
    internal bool TryReserve()
    {
        if (Connections >= MaxConnections)
        {
            PlacesWanted?.Invoke();
            if (Connections >= MaxConnections)
            {
                return false;
            }
        }

        Connections++;
        return true;
    }

    /// <summary>Gives a place taken by <see cref="TryReserve"/> back.</summary>
    internal void Release() => Connections--;

    /// <summary>Starts watching the source's descriptor, edge-triggered unless the caller's bits say otherwise.</summary>
    /// <returns>0, or the negated errno.</returns>
    internal int Register(EventSource source, uint events)
    {
        if (!_freeIndexes.TryPop(out int index))
        {
            index = _tableUsed++;
            if (index == _table.Length)
            {
                Array.Resize(ref _table, index * 2);
                Array.Resize(ref _generations, index * 2);
            }
        }

        int result = System.AddInterest(_epoll, source.Descriptor, events, Key(index));
        if (result < 0)
        {
            _freeIndexes.Push(index);
            return result;
        }

        _table[index] = source;
        source.TableIndex = index;
        return 0;
    }

    /// <summary>Changes what is watched for.</summary>
    internal int Modify(EventSource source, uint events) =>
        System.ModifyInterest(_epoll, source.Descriptor, events, Key(source.TableIndex));

    /// <summary>Stops watching a source whose descriptor stays open.</summary>
    internal void StopWatching(EventSource source)
    {
        if (source.TableIndex >= 0)
        {
            // It can only fail if the descriptor is not in the set, which is what is wanted.
            _ = System.RemoveInterest(_epoll, source.Descriptor);
            Unregister(source);
        }
    }

    /// <summary>
    /// Forgets the source. Closing its descriptor afterwards takes it out of the epoll set; events already fetched for
    /// it are recognised by their generation and dropped.
    /// </summary>
    internal void Unregister(EventSource source)
    {
        int index = source.TableIndex;
        if (index < 0)
        {
            return;
        }

        source.TableIndex = -1;
        _table[index] = null;
        _generations[index]++;
        _freeIndexes.Push(index);
    }

    /// <summary>Makes the connection the one whose bytes are in the out buffer; another one's are sent first.</summary>
    internal void ClaimOut(Connection connection)
    {
        if (_outOwner != connection)
        {
            FlushOwner();
            _outOwner = connection;
        }
    }

    /// <summary>The connection was closed: its unsent bytes in the out buffer are dropped.</summary>
    internal void DropOut(Connection connection)
    {
        if (_outOwner == connection)
        {
            _outOwner = null;
            LoopBuffers.Wipe(Buffers.Out, Buffers.OutLength);
            Buffers.OutLength = 0;
        }
    }

    /// <summary>Sends what the connection that wrote last has left in the out buffer.</summary>
    internal void FlushOwner()
    {
        if (_outOwner is { } owner)
        {
            _outOwner = null;
            owner.SendOut();
        }
    }

    public void Dispose()
    {
        _wakeUp?.Dispose();
        Buffers.Dispose();
        NativeMemory.Free(_events);
        if (System is LinuxSystemCalls)
        {
            System.Close(_epoll);
        }
    }

    /// <summary>Memory is for those who have signed in: the turn of a share of the others has come.</summary>
    private void GiveUpSome()
    {
        // Each frees up to 64 KB; then the kernel is asked again.
        const int Share = 256;
        int given = 0;
        for (int left = _tableUsed; left > 0 && given < Share; left--)
        {
            _nextToGiveUp = (_nextToGiveUp + 1) % _tableUsed;
            if (_table[_nextToGiveUp] is Connection { IsClientsDialogue: true } connection)
            {
                connection.Abort(ConnectionEnd.OutOfMemory);
                FlushOwner();
                given++;
            }
        }
    }

    private ulong Key(int index) => ((ulong)_generations[index] << 32) | (uint)index;

    private void Dispatch(ulong key, uint events)
    {
        int index = (int)(uint)key;
        if (index < _tableUsed && _generations[index] == (uint)(key >> 32) && _table[index] is { } source)
        {
            try
            {
                source.OnEvents(events);
            }
#pragma warning disable CA1031 // Reported; the fault of one connection must not end the loop with all the others.
            catch (Exception fault)
#pragma warning restore CA1031
            {
                FaultObserver?.Invoke(fault);
                source.OnFault();
            }

            FlushOwner();
        }
    }

    private void RunPosted()
    {
        // Before the queue is emptied: what is added meanwhile sets it again.
        _hasPosted = false;
        while (_posted.TryDequeue(out Action? action))
        {
            RunGuarded(action);
            FlushOwner();
        }
    }

    private void RunGuarded(Action action)
    {
        try
        {
            action();
        }
#pragma warning disable CA1031 // As in Dispatch.
        catch (Exception fault)
#pragma warning restore CA1031
        {
            FaultObserver?.Invoke(fault);
        }
    }

    /// <summary>An eventfd(2) by which other threads end the loop's wait.</summary>
    private sealed class WakeUp : EventSource, IDisposable
    {
        private readonly SystemCalls _system;

        public WakeUp(EventLoop loop)
        {
            _system = loop.System;
            Descriptor = Libc.eventfd(0, Libc.EFD_NONBLOCK | Libc.EFD_CLOEXEC);
            if (Descriptor < 0)
            {
                throw SystemCallException.FromErrno("eventfd()", Marshal.GetLastPInvokeError());
            }

            int result = loop.Register(this, Libc.EPOLLIN);
            if (result < 0)
            {
                throw SystemCallException.FromErrno("epoll_ctl()", -result);
            }
        }

        public void Wake()
        {
            ulong one = 1;

            // EAGAIN means that the counter is at its maximum: the loop has a wake-up pending anyway.
            _ = Libc.write(Descriptor, (byte*)&one, sizeof(ulong));
        }

        public void Dispose() => _system.Close(Descriptor);

        protected internal override void OnEvents(uint events)
        {
            ulong count;
            _ = Libc.read(Descriptor, (byte*)&count, sizeof(ulong));
        }
    }
}

/// <summary>Awaits the loop's next turn.</summary>
public readonly struct YieldAwaitable : ICriticalNotifyCompletion
{
    private readonly EventLoop _loop;

    internal YieldAwaitable(EventLoop loop)
    {
        _loop = loop;
    }

    public bool IsCompleted => false;

    public YieldAwaitable GetAwaiter() => this;

    public void OnCompleted(Action continuation) => _loop.Defer(new Continuation(continuation));

    public void UnsafeOnCompleted(Action continuation) => _loop.Defer(new Continuation(continuation));

    public void GetResult()
    {
    }

    private sealed class Continuation(Action action) : IDeferred
    {
        public void RunDeferred() => action();
    }
}

/// <summary>Work that used up its share of a turn and goes on in the next.</summary>
internal interface IDeferred
{
    void RunDeferred();
}
