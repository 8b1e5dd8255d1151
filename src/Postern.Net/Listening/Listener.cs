using System.Runtime.InteropServices;
using Postern.Interop;
using Postern.Logging;

namespace Postern.Net.Listening;

/// <summary>Accepts the clients of one listening socket on one loop.</summary>
public sealed unsafe class Listener : EventSource
{
    /// <summary>Clients accepted in a row before others have their turn.</summary>
    private const int AcceptsPerTurn = 32;

    /// <summary>Pause after running out of descriptors (<c>accept_mutex_delay</c>).</summary>
    private const long PauseMilliseconds = 500;

    private static long _lastComplaintOfMemory = long.MinValue / 2;

    private readonly EventLoop _loop;
    private ListenPlan _plan;
    private ErrorLog _log;
    private readonly Pause _pause;
    private long _lastComplaint = long.MinValue / 2;

    private Listener(EventLoop loop, ListenPlan plan, int descriptor, ErrorLog log)
    {
        _loop = loop;
        _plan = plan;
        _log = log;
        _pause = new Pause(this);
        Descriptor = descriptor;
    }

    /// <summary>Begins to accept. Call on the loop. The descriptor stays the <see cref="ListeningSocket"/>'s.</summary>
    public static Listener Start(EventLoop loop, ListenPlan plan, int descriptor, ErrorLog log)
    {
        var listener = new Listener(loop, plan, descriptor, log);
        int result = loop.Register(listener, Interest(plan));
        return result >= 0 ? listener : throw SystemCallException.FromErrno("epoll_ctl()", -result);
    }

    /// <summary>New clients go to the servers of another configuration. Call on the loop.</summary>
    public void Replace(ListenPlan plan, ErrorLog log)
    {
        _plan = plan;
        _log = log;
    }

    /// <summary>Stops accepting. Call on the loop, before the descriptor is closed.</summary>
    public void Stop()
    {
        _loop.Timers.Cancel(_pause);
        _loop.StopWatching(this);
    }

    protected internal override void OnEvents(uint events)
    {
        byte* address = stackalloc byte[Libc.SockaddrBytes];
        if (!_loop.Memory.HasRoom(_loop.Now))
        {
            ComplainOfMemory();
            BeginPause();
            return;
        }

        for (int i = 0; i < AcceptsPerTurn && TableIndex >= 0; i++)
        {
            uint length = Libc.SockaddrBytes;
            int descriptor = Libc.accept4(Descriptor, address, &length, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC);
            if (descriptor < 0)
            {
                OnAcceptFailed(Marshal.GetLastPInvokeError());
                return;
            }

            Accept(descriptor, SocketAddresses.Read(new ReadOnlySpan<byte>(address, Libc.SockaddrBytes)));
        }
    }

    // Level-triggered: a client left in the queue is announced again. One shared unix socket must not wake every loop.
    private static uint Interest(ListenPlan plan) =>
        plan.Socket.Settings.Address.Family == AddressFamilyKind.Unix ? Libc.EPOLLIN | Libc.EPOLLEXCLUSIVE : Libc.EPOLLIN;

    private void Accept(int descriptor, EndpointAddress peer)
    {
        ListenEntry entry = _plan.Socket;
        if (!_loop.TryReserve())
        {
            _loop.System.Close(descriptor);
            entry.Handler.OnNoPlace(_loop.MaxConnections);
            return;
        }

        _loop.Memory.Take(MemoryGate.ClientBytes, _loop.Now);
        Connection client = Connection.FromAccepted(_loop, descriptor);
        try
        {
            if (_plan.HasSpecific)
            {
                entry = _plan.Choose(client.GetLocalAddress());
            }

            entry.Handler.OnClient(client, peer, entry.Settings);
        }
#pragma warning disable CA1031 // One client that cannot be taken must not end the loop of all others.
        catch (Exception fault)
#pragma warning restore CA1031
        {
            client.Close();
            ComplainOfFault(fault);
        }
    }

    private void ComplainOfFault(Exception fault)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        line.Append("client could not be taken: "u8);
        line.AppendEscaped(fault.Message);
        _log.Write(LogLevel.Alert, line.Written);
    }

    private void OnAcceptFailed(int errno)
    {
        switch (errno)
        {
            case Libc.EAGAIN or Libc.EINTR:
                return;
            case Libc.ECONNABORTED or Libc.EPROTO:
                // The client gave up while it was in the queue.
                return;
            case Libc.EMFILE or Libc.ENFILE or Libc.ENOMEM or Libc.ENOBUFS:
                Complain(LogLevel.Crit, errno);
                BeginPause();
                return;
            default:
                Complain(LogLevel.Alert, errno);
                BeginPause();
                return;
        }
    }

    private void BeginPause()
    {
        _loop.StopWatching(this);
        _loop.Timers.Arm(_pause, _loop.Now, PauseMilliseconds);
    }

    private void EndPause()
    {
        if (!_loop.Memory.HasRoom(_loop.Now))
        {
            _loop.Timers.Arm(_pause, _loop.Now, PauseMilliseconds);
            return;
        }

        int result = _loop.Register(this, Interest(_plan));
        if (result < 0)
        {
            // Out of memory in the kernel: try again later rather than never accept any more.
            Complain(LogLevel.Alert, -result);
            _loop.Timers.Arm(_pause, _loop.Now, PauseMilliseconds);
        }
    }

    /// <summary>Once a second at most in the whole process: all loops run short together.</summary>
    private void ComplainOfMemory()
    {
        long last = Interlocked.Read(ref _lastComplaintOfMemory);
        if (_loop.Now - last >= 1000 && Interlocked.CompareExchange(ref _lastComplaintOfMemory, _loop.Now, last) == last)
        {
            _log.Write(LogLevel.Crit, "not enough memory for new clients, those there are go on"u8);
        }
    }

    /// <summary>Once a second at most.</summary>
    private void Complain(LogLevel level, int errno)
    {
        if (_loop.Now - _lastComplaint < 1000 || !_log.IsEnabled(level))
        {
            return;
        }

        _lastComplaint = _loop.Now;
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        line.Append("accept4() failed"u8);
        line.AppendErrno(errno);
        _log.Write(level, line.Written);
    }

    private sealed class Pause(Listener listener) : LoopTimer
    {
        protected internal override void OnExpired() => listener.EndPause();
    }
}
