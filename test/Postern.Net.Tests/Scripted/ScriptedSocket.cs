using System.Text;
using Postern.Interop;

namespace Postern.Net.Tests.Scripted;

/// <summary>
/// One socket of the scripted kernel: what the script lets arrive, what the code under test sent, and the readiness that epoll would see.
/// </summary>
/// <remarks>
/// Edge-triggered as Linux is: an arrival, an end or freed space puts the socket on the ready list once; the bits reported are those that
/// hold when the events are fetched; nothing is repeated.
/// </remarks>
internal sealed class ScriptedSocket(ScriptedSystemCalls kernel, int descriptor)
{
    private bool _noSpace;

    /// <summary>Bytes of the inbox in front of the urgent mark; -1 = there is none.</summary>
    private int _urgentAt = -1;
    private bool _endCarried;

    public int Descriptor { get; } = descriptor;

    /// <summary>Arrived and not yet received.</summary>
    public ByteQueue Inbox { get; } = new();

    /// <summary>Sent and not yet taken by the script or carried to the peer.</summary>
    public ByteQueue Outbox { get; } = new();

    /// <summary>Size of each successful send(2).</summary>
    public List<int> Sends { get; } = new(1024);

    /// <summary>Results of recv(2).</summary>
    public int Receives { get; private set; }

    /// <summary>Bytes the outbox holds before send(2) says EAGAIN.</summary>
    public int Window { get; set; } = int.MaxValue;

    /// <summary>Where <see cref="Carry"/> takes the outbox; null = the script takes it.</summary>
    public ScriptedSocket? Peer { get; private set; }

    /// <summary>Whether each send arrives at the peer at once.</summary>
    public bool AutoCarry { get; set; }

    /// <summary>connect(2) is under way.</summary>
    public bool Connecting { get; set; }

    /// <summary>The other side's FIN.</summary>
    public bool EndArrived { get; private set; }

    /// <summary>Our FIN: shutdown(2) or close(2).</summary>
    public bool EndSent { get; private set; }

    public bool Closed { get; private set; }

    /// <summary>Closed with bytes in the inbox: a real kernel would have reset the connection.</summary>
    public bool ClosedWithUnread { get; private set; }

    /// <summary>The pending error, as SO_ERROR; reported once.</summary>
    public int Error { get; private set; }

    /// <summary>Errno every send(2) fails with; 0 = none. Raises no event.</summary>
    public int SendError { get; set; }

    public uint Interest { get; private set; }

    public bool Watched { get; private set; }

    public ulong Data { get; private set; }

    internal bool Queued { get; set; }

    /// <summary>Joins two sockets; either's outbox is carried to the other's inbox.</summary>
    public static void Join(ScriptedSocket one, ScriptedSocket other, bool autoCarry)
    {
        (one.Peer, other.Peer) = (other, one);
        one.AutoCarry = other.AutoCarry = autoCarry;
    }

    public void Arrive(string text) => Arrive(Encoding.Latin1.GetBytes(text));

    public void Arrive(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 0)
        {
            Inbox.Add(bytes);
            Wake(Libc.EPOLLIN);
        }
    }

    /// <summary>
    /// A byte sent with MSG_OOB, which is not part of the stream: all that is left of it is the mark, at which recv(2) stops (tcp(7)).
    /// </summary>
    public void ArriveUrgent()
    {
        _urgentAt = Inbox.Length;
        Wake(Libc.EPOLLPRI);
    }

    public void ArriveEnd()
    {
        EndArrived = true;
        Wake(Libc.EPOLLIN | Libc.EPOLLRDHUP);
    }

    /// <summary>A reset, or the refusal of a connection under way.</summary>
    public void Fail(int errno)
    {
        Connecting = false;
        Error = errno;
        EndArrived = true;
        Wake(Libc.EPOLLIN | Libc.EPOLLERR | Libc.EPOLLHUP);
    }

    /// <summary>connect(2) has succeeded.</summary>
    public void Establish()
    {
        Connecting = false;
        Wake(Libc.EPOLLOUT);
    }

    /// <summary>What was sent, as text; frees the room it took.</summary>
    public string TakeText() => Encoding.Latin1.GetString(Take());

    public byte[] Take()
    {
        byte[] all = Outbox.TakeAll();
        FreeSpace();
        return all;
    }

    /// <summary>Moves bytes from the outbox to the peer; behind the last one goes our FIN.</summary>
    /// <returns>What was moved, the FIN counting as one; 0 = nothing.</returns>
    public int Carry(int count = int.MaxValue)
    {
        int moved = Math.Min(count, Outbox.Length);
        if (Peer is not null)
        {
            Peer.Arrive(Outbox.Peek(moved));
            Outbox.Drop(moved);
            FreeSpace();
            if (Outbox.Length == 0 && EndSent && !_endCarried)
            {
                _endCarried = true;
                Peer.ArriveEnd();
                return moved + 1;
            }
        }

        return moved;
    }

    public void FreeSpace()
    {
        if (_noSpace && Outbox.Length < Window)
        {
            _noSpace = false;
            Wake(Libc.EPOLLOUT);
        }
    }

    internal uint Poll()
    {
        if (Connecting)
        {
            return 0;
        }

        uint events = Inbox.Length > 0 || EndArrived ? Libc.EPOLLIN : 0;
        events |= _urgentAt >= 0 ? Libc.EPOLLPRI : 0;
        events |= EndArrived ? Libc.EPOLLRDHUP : 0;
        events |= EndArrived && EndSent ? Libc.EPOLLHUP : 0;
        events |= Error != 0 ? Libc.EPOLLERR | Libc.EPOLLHUP : 0;
        events |= Outbox.Length < Window ? Libc.EPOLLOUT : 0;

        // As tcp_poll() does: who looks and finds no space is told of the next.
        _noSpace |= Outbox.Length >= Window;
        return events & (Interest | Libc.EPOLLERR | Libc.EPOLLHUP);
    }

    internal int Receive(Span<byte> target)
    {
        Receives++;
        if (Inbox.Length > 0)
        {
            if (_urgentAt > 0)
            {
                target = target[..Math.Min(target.Length, _urgentAt)];
                _urgentAt -= target.Length;
            }
            else
            {
                _urgentAt = -1;
            }

            return Inbox.Take(target);
        }

        if (Error != 0)
        {
            return TakeError();
        }

        return EndArrived ? 0 : -Libc.EAGAIN;
    }

    internal int Send(ReadOnlySpan<byte> data)
    {
        if (Error != 0)
        {
            return TakeError();
        }

        if (SendError != 0)
        {
            return -SendError;
        }

        if (EndSent)
        {
            return -Libc.EPIPE;
        }

        int taken = Connecting ? 0 : Math.Min(data.Length, Window - Outbox.Length);
        _noSpace |= taken < data.Length;
        if (taken <= 0)
        {
            return -Libc.EAGAIN;
        }

        Outbox.Add(data[..taken]);
        Sends.Add(taken);
        if (AutoCarry)
        {
            Carry();
        }

        return taken;
    }

    internal int ShutdownSend()
    {
        EndSent = true;
        if (AutoCarry)
        {
            Carry();
        }

        return 0;
    }

    internal void Close()
    {
        Closed = true;
        Watched = false;
        ClosedWithUnread = Inbox.Length > 0;
        EndSent = true;
        if (AutoCarry)
        {
            Carry();
        }
    }

    internal void Watch(uint events, ulong data)
    {
        Watched = true;
        (Interest, Data) = (events, data);
        if (Poll() != 0)
        {
            kernel.Enqueue(this);
        }
    }

    internal void Unwatch() => Watched = false;

    private void Wake(uint events)
    {
        if (Watched && (events & (Interest | Libc.EPOLLERR | Libc.EPOLLHUP)) != 0)
        {
            kernel.Enqueue(this);
        }
    }

    private int TakeError()
    {
        int errno = Error;
        Error = 0;
        EndSent = true;
        return -errno;
    }
}
