using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net;

/// <summary>
/// One stream socket on one loop, perhaps under TLS. Reads and writes never block: <see cref="TryRead"/> says
/// <see cref="WouldBlock"/> and the dialogue awaits <see cref="Readable"/>; what <see cref="Write"/> gets leaves with
/// the turn, and what the kernel does not take is kept until it does (<see cref="HasUnsent"/>).
/// </summary>
/// <remarks>
/// Edge-triggered: an event is a promise kept once. <see cref="_mayRead"/> remembers it until a read proves it used up
/// (EAGAIN, or less than asked for), so no wake-up is lost however late the dialogue comes back to read.
/// </remarks>
public sealed unsafe partial class Connection : EventSource
{
    /// <summary>Result of <see cref="TryRead"/>: nothing there yet.</summary>
    public const int WouldBlock = -1;

    private const uint ReadInterest = Libc.EPOLLIN | Libc.EPOLLRDHUP | Libc.EPOLLET;

    private readonly EventLoop _loop;

    /// <summary>What runs on the next event: the dialogue's continuation, or the <see cref="IConnectionHandler"/> of a later phase.</summary>
    private object? _waiter;
    private byte[]? _unsent;
    private int _unsentStart;
    private int _unsentEnd;
    private int _sendErrno;
    private ConnectionEnd? _aborted;
    private bool _waitsForDrain;
    private bool _mayRead;
    private bool _hangUp;
    private bool _endOfStream;
    private bool _outArmed;

    private Connection(EventLoop loop, int descriptor, bool mayRead)
    {
        _loop = loop;
        Descriptor = descriptor;
        _mayRead = mayRead;
    }

    public EventLoop Loop => _loop;

    /// <summary>Whether bytes wait for the kernel to take them. A dialogue that writes much awaits <see cref="Drained"/> then.</summary>
    public bool HasUnsent => _unsent is not null;

    /// <summary>How many bytes wait for the kernel.</summary>
    internal int UnsentBytes => _unsent is null ? 0 : _unsentEnd - _unsentStart;

    /// <summary>Errno of a failed send(2), 0 if none: nothing more can be written.</summary>
    public int SendErrno => _sendErrno;

    /// <summary>Whether the end of the stream is known to have been reached, without another read.</summary>
    internal bool EndOfStreamKnown => _endOfStream;

    public bool IsClosed => Descriptor < 0;

    /// <summary>Takes over an accepted descriptor. The loop's place must have been reserved.</summary>
    internal static Connection FromAccepted(EventLoop loop, int descriptor) => new(loop, descriptor, mayRead: true);

    /// <summary>Begins to connect; whether it worked shows at the first read or write.</summary>
    /// <param name="loop">The loop the connection belongs to.</param>
    /// <param name="address">Where to.</param>
    /// <param name="errno">0, or why there is no connection (<see cref="Libc.EAGAIN"/>: no place left in the loop).</param>
    /// <param name="failedCall">Which call failed, as nginx names it.</param>
    public static Connection? Connect(EventLoop loop, EndpointAddress address, out int errno, out string failedCall)
    {
        failedCall = "";
        if (!loop.TryReserve())
        {
            errno = Libc.EAGAIN;
            return null;
        }

        errno = 0;
        int family = SocketAddresses.NativeFamily(address);
        int descriptor = Libc.socket(family, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (descriptor < 0)
        {
            errno = Marshal.GetLastPInvokeError();
            failedCall = "socket()";
            loop.Release();
            return null;
        }

        if (family != Libc.AF_UNIX)
        {
            int on = 1;

            // Failing costs latency, not correctness.
            _ = Libc.setsockopt(descriptor, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, &on, sizeof(int));
        }

        byte* buffer = stackalloc byte[Libc.SockaddrBytes];
        int length = SocketAddresses.Write(address, new Span<byte>(buffer, Libc.SockaddrBytes));
        if (Libc.connect(descriptor, buffer, (uint)length) < 0)
        {
            errno = Marshal.GetLastPInvokeError();
            if (errno != Libc.EINPROGRESS)
            {
                failedCall = $"connect() to {address}";
                loop.System.Close(descriptor);
                loop.Release();
                return null;
            }

            errno = 0;
        }

        return new Connection(loop, descriptor, mayRead: false);
    }

    /// <summary>Reads what is there: cleartext, decrypted if the connection is under TLS.</summary>
    /// <returns>Bytes read, 0 at the end of the stream, or <see cref="WouldBlock"/>.</returns>
    /// <exception cref="ConnectionEndedException">The connection failed or was aborted.</exception>
    public int TryRead(Span<byte> target)
    {
        ThrowIfAborted();
        fixed (byte* pointer = target)
        {
            return _ssl != 0 ? TlsRead(pointer, target.Length) : Checked(Receive(pointer, target.Length), "recv()");
        }
    }

    /// <summary>Completes when <see cref="TryRead"/> may have something. One waiter at a time.</summary>
    public ReadinessAwaitable Readable() => new(this, drain: false);

    /// <summary>Completes when the kernel has taken everything written. One waiter at a time.</summary>
    public ReadinessAwaitable Drained() => new(this, drain: true);

    /// <summary>Queues the bytes; they leave with the loop's turn. The span may be reused at once.</summary>
    public void Write(ReadOnlySpan<byte> data)
    {
        fixed (byte* pointer = data)
        {
            WriteBytes(pointer, data.Length);
        }
    }

    /// <summary>
    /// Ends what is being waited for with an exception: the deadline of the current step passed. Call on the loop.
    /// </summary>
    public void Abort(ConnectionEnd reason)
    {
        _aborted = reason;
        if (_waiter is Action continuation)
        {
            _waiter = null;
            continuation();
        }
    }

    /// <summary>Closes at once: no close_notify, unsent bytes are dropped.</summary>
    public void Close()
    {
        if (Descriptor < 0)
        {
            return;
        }

        _loop.DropOut(this);
        FreeTls();
        ReleaseUnsent();
        _loop.Unregister(this);
        _loop.System.Close(Descriptor);
        Descriptor = -1;
        _waiter = null;
        _loop.Release();
    }

    /// <summary>
    /// Ends the connection from our side: sends what is unsent, close_notify under TLS, and closes once the other side
    /// has closed too, or after 3 seconds.
    /// </summary>
    /// <param name="stallMilliseconds">How long the kernel may refuse to take unsent bytes before they are given up.</param>
    public void CloseGracefully(long stallMilliseconds)
    {
        if (Descriptor < 0)
        {
            return;
        }

        bool notified = SendCloseNotify();
        _loop.ClaimOut(this);
        bool nothingToAwait = _endOfStream || (!notified && !HasUnreadInput());
        if (nothingToAwait)
        {
            _loop.FlushLast(this);
        }
        else
        {
            _loop.FlushOwner();
        }

        if (_sendErrno != 0 || (!HasUnsent && nothingToAwait))
        {
            Close();
            return;
        }

        new LingeringClose(this, stallMilliseconds).Begin();
    }

    /// <summary>
    /// Between two uses nothing is expected: whatever arrives, or the other side closing, closes the connection.
    /// </summary>
    public void BeginIdle() => SetHandler(IdleGuard.Instance);

    /// <summary>Takes the connection back into use.</summary>
    /// <returns>False if something has arrived meanwhile: it must not be used.</returns>
    public bool EndIdle()
    {
        _waiter = null;
        return Descriptor >= 0 && !_mayRead && !_endOfStream && _sendErrno == 0;
    }

    /// <summary>The local address, as getsockname(2) tells it.</summary>
    public EndpointAddress GetLocalAddress()
    {
        byte* buffer = stackalloc byte[Libc.SockaddrBytes];
        uint length = Libc.SockaddrBytes;
        return Libc.getsockname(Descriptor, buffer, &length) == 0
            ? SocketAddresses.Read(new ReadOnlySpan<byte>(buffer, Libc.SockaddrBytes))
            : throw SystemCallException.FromErrno("getsockname()", Marshal.GetLastPInvokeError());
    }

    protected internal override void OnEvents(uint events)
    {
        if ((events & (Libc.EPOLLIN | Libc.EPOLLRDHUP | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0)
        {
            _mayRead = true;
        }

        if ((events & (Libc.EPOLLRDHUP | Libc.EPOLLHUP)) != 0)
        {
            _hangUp = true;
        }

        if (HasUnsent && (events & (Libc.EPOLLOUT | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0)
        {
            SendUnsent();
        }

        switch (_waiter)
        {
            case IConnectionHandler handler:
                handler.OnReady(this);
                break;
            case Action continuation when _waitsForDrain ? !HasUnsent : _mayRead:
                _waiter = null;
                continuation();
                break;
            default:
                break;
        }
    }

    protected internal override void OnShutdownTimeout()
    {
        switch (_waiter)
        {
            case IConnectionHandler handler:
                handler.OnShutdownTimeout(this);
                break;
            default:
                // A dialogue that waits here ends now; one that waits elsewhere ends when it comes back.
                Abort(ConnectionEnd.ShutdownTimeout);
                break;
        }
    }

    /// <summary>From now on events go to the handler, without a dialogue or its state machine.</summary>
    internal void SetHandler(IConnectionHandler? handler)
    {
        _waiter = handler;
        if (handler is not null)
        {
            EnsureRegistered();
        }
    }

    /// <summary>Whether a read may yield something without an event coming first.</summary>
    internal bool MayRead => _mayRead || _endOfStream || HasTlsInput;

    /// <summary>Sends the loop's out buffer, which this connection owns.</summary>
    /// <param name="last">Whether the connection is closed right after.</param>
    internal void SendOut(bool last = false)
    {
        LoopBuffers buffers = _loop.Buffers;
        int length = buffers.OutLength;
        buffers.OutLength = 0;
        if (length > 0)
        {
            SendOrKeep(buffers.Out, length, last);
        }
    }

    /// <summary>Sends the bytes, keeping a copy of what the kernel does not take. Order with earlier bytes is the caller's care.</summary>
    internal void SendOrKeep(byte* data, int length, bool last = false)
    {
        if (_sendErrno != 0 || Descriptor < 0)
        {
            return;
        }

        int sent = 0;
        if (_unsent is null)
        {
            sent = last ? _loop.System.SendLast(Descriptor, data, length) : _loop.System.Send(Descriptor, data, length);
            if (sent == length)
            {
                return;
            }

            if (sent < 0)
            {
                if (-sent != Libc.EAGAIN)
                {
                    _sendErrno = -sent;
                    return;
                }

                sent = 0;
            }
        }

        Keep(new ReadOnlySpan<byte>(data + sent, length - sent));
        ArmOut();
    }

    /// <summary>recv(2) with the bookkeeping of edge triggering.</summary>
    /// <returns>Bytes, 0 at the end, <see cref="WouldBlock"/>, or below −1 the negated errno.</returns>
    internal int Receive(byte* target, int length)
    {
        if (_endOfStream)
        {
            return 0;
        }

        if (!_mayRead)
        {
            return WouldBlock;
        }

        int n = _loop.System.Receive(Descriptor, target, length);
        if (n > 0)
        {
            if (n < length)
            {
                // Everything that had arrived was taken. If the end had been announced before, this was the last of it.
                _mayRead = false;
                _endOfStream = _hangUp;
            }

            return n;
        }

        _mayRead = false;
        if (n == 0)
        {
            _endOfStream = true;
            return 0;
        }

        return -n == Libc.EAGAIN ? WouldBlock : n == -1 ? -Libc.ECONNRESET : n;
    }

    /// <summary>For the relay: cleartext goes straight from the loop's plain buffer to the kernel, without a copy.</summary>
    /// <param name="last">Whether this is the end: it waits for <see cref="CloseGracefully"/>, to leave with the FIN.</param>
    internal void WriteFromRelay(byte* data, int length, bool last)
    {
        if (_ssl != 0 || last)
        {
            WriteBytes(data, length);
            return;
        }

        _loop.ClaimOut(this);
        SendOut();
        SendOrKeep(data, length);
    }

    /// <summary>Tells the other side that nothing more comes (shutdown(2), SHUT_WR).</summary>
    /// <returns>0 or the negated errno.</returns>
    internal int ShutdownSend() => _loop.System.ShutdownSend(Descriptor);

    /// <summary>Hands written bytes to TLS or to the out buffer.</summary>
    internal void WriteBytes(byte* data, int length)
    {
        if (_sendErrno != 0 || Descriptor < 0 || length == 0)
        {
            return;
        }

        _loop.ClaimOut(this);
        if (_ssl != 0)
        {
            TlsWrite(data, length);
            return;
        }

        LoopBuffers buffers = _loop.Buffers;
        if (length > LoopBuffers.OutBytes - buffers.OutLength)
        {
            SendOut();
            if (length > LoopBuffers.OutBytes)
            {
                SendOrKeep(data, length);
                return;
            }
        }

        Unsafe.CopyBlockUnaligned(buffers.Out + buffers.OutLength, data, (uint)length);
        buffers.OutLength += length;
    }

    private static bool IsWouldBlock(int n) => n == WouldBlock;

    private int Checked(int n, string call) => n >= 0 || IsWouldBlock(n)
        ? n
        : throw new ConnectionEndedException(this, ConnectionEnd.SocketError, -n, call);

    private bool HasUnreadInput()
    {
        if (_mayRead && Descriptor >= 0)
        {
            // Closing with unread bytes makes the kernel reset the connection, which can destroy our last reply.
            return Receive(_loop.Buffers.In, LoopBuffers.InBytes) > 0 && !_endOfStream;
        }

        return false;
    }

    private void ThrowIfAborted()
    {
        if (_aborted is { } reason)
        {
            throw new ConnectionEndedException(this, reason);
        }
    }

    private void EnsureRegistered()
    {
        if (TableIndex < 0 && Descriptor >= 0)
        {
            int result = _loop.Register(this, HasUnsent ? ReadInterest | Libc.EPOLLOUT : ReadInterest);
            _outArmed = HasUnsent;
            if (result < 0)
            {
                throw new ConnectionEndedException(this, ConnectionEnd.SocketError, -result, "epoll_ctl()");
            }
        }
    }

    private void ArmOut()
    {
        if (_outArmed)
        {
            return;
        }

        if (TableIndex < 0)
        {
            EnsureRegistered();
            return;
        }

        _outArmed = true;
        int result = _loop.Modify(this, ReadInterest | Libc.EPOLLOUT);
        if (result < 0)
        {
            _sendErrno = -result;
        }
    }

    private void Keep(ReadOnlySpan<byte> rest)
    {
        if (_unsent is null)
        {
            _unsent = ArrayPool<byte>.Shared.Rent(rest.Length);
            _unsentStart = _unsentEnd = 0;
        }
        else if (_unsent.Length - _unsentEnd < rest.Length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(_unsentEnd - _unsentStart + rest.Length, _unsent.Length));
            ReadOnlySpan<byte> old = _unsent.AsSpan(_unsentStart, _unsentEnd - _unsentStart);
            old.CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_unsent, clearArray: true);
            (_unsent, _unsentStart, _unsentEnd) = (larger, 0, old.Length);
        }

        rest.CopyTo(_unsent.AsSpan(_unsentEnd));
        _unsentEnd += rest.Length;
    }

    private void SendUnsent()
    {
        Debug.Assert(_unsent is not null);
        fixed (byte* data = _unsent)
        {
            int n = _loop.System.Send(Descriptor, data + _unsentStart, _unsentEnd - _unsentStart);
            if (n < 0)
            {
                if (-n != Libc.EAGAIN)
                {
                    _sendErrno = -n;
                    ReleaseUnsent();
                }

                return;
            }

            _unsentStart += n;
        }

        if (_unsentStart == _unsentEnd)
        {
            ReleaseUnsent();
        }
    }

    private void ReleaseUnsent()
    {
        if (_unsent is not null)
        {
            // It may hold a password on its way to a backend.
            ArrayPool<byte>.Shared.Return(_unsent, clearArray: true);
            _unsent = null;
        }
    }

    /// <summary>Awaits one wake-up of a connection. A struct: awaiting allocates nothing of its own.</summary>
    public readonly struct ReadinessAwaitable : ICriticalNotifyCompletion
    {
        private readonly Connection _connection;
        private readonly bool _drain;

        internal ReadinessAwaitable(Connection connection, bool drain)
        {
            _connection = connection;
            _drain = drain;
        }

        public bool IsCompleted => _connection._aborted is not null
            || (_drain ? _connection.IsDrainedNow() : _connection.MayRead);

        public ReadinessAwaitable GetAwaiter() => this;

        public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

        public void UnsafeOnCompleted(Action continuation)
        {
            Debug.Assert(_connection._waiter is null, "one waiter at a time");
            _connection._waitsForDrain = _drain;
            _connection._waiter = continuation;
            _connection.EnsureRegistered();
        }

        /// <exception cref="ConnectionEndedException">The wait was aborted.</exception>
        public void GetResult() => _connection.ThrowIfAborted();
    }

    private bool IsDrainedNow()
    {
        _loop.ClaimOut(this);
        _loop.FlushOwner();
        return !HasUnsent;
    }
}

/// <summary>Closes a connection at whatever happens to it.</summary>
internal sealed class IdleGuard : IConnectionHandler
{
    public static IdleGuard Instance { get; } = new();

    public void OnReady(Connection connection) => connection.Close();

    public void OnShutdownTimeout(Connection connection) => connection.Close();
}

/// <summary>Takes a connection's events once its dialogue is over.</summary>
internal interface IConnectionHandler
{
    /// <summary>Something may be read, or unsent bytes have gone.</summary>
    void OnReady(Connection connection);

    /// <summary>The time for a graceful stop is over.</summary>
    void OnShutdownTimeout(Connection connection);
}
