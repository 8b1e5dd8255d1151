using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
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
public sealed unsafe partial class Connection : EventSource, IDeferred
{
    /// <summary>Result of <see cref="TryRead"/>: nothing there yet.</summary>
    public const int WouldBlock = -1;

    private const uint ReadInterest = Libc.EPOLLIN | Libc.EPOLLPRI | Libc.EPOLLRDHUP | Libc.EPOLLET;

    private readonly EventLoop _loop;

    /// <summary>What runs on the next event: the dialogue's continuation, or else the handler of a later phase. At most one of them is set.</summary>
    private Action? _waiter;
    private IConnectionHandler? _handler;
    private byte[]? _unsent;
    private bool _unsentIsSecret;
    private int _unsentStart;
    private int _unsentEnd;
    private int _sendErrno;
    private string _failedCall = "";
    private ConnectionEnd? _aborted;
    private WaitKind _waitsFor;
    private bool _mayRead;
    private bool _hangUp;

    /// <summary>From then on a short read does not prove that all was read: recv(2) stops at urgent data (MSG_OOB), and before an error.</summary>
    private bool _mustReadOn;
    private bool _endOfStream;
    private bool _outArmed;
    private readonly bool _isClients;

    /// <summary>What passes through the loop's buffers in clear may be a password: until a relay begins it is wiped behind us.</summary>
    private bool _mayHoldSecrets = true;

    private Connection(EventLoop loop, int descriptor, bool mayRead)
    {
        // A client has been there before it was accepted; a backend is only being connected to.
        _isClients = mayRead;
        _loop = loop;
        Descriptor = descriptor;
        _mayRead = mayRead;
    }

    private enum WaitKind
    {
        Input,
        Drain,
        Time,
        InputOrTime,
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

    /// <summary>Whether a dialogue with a client waits here, who has not signed in yet then.</summary>
    internal bool IsClientsDialogue => _isClients && _waiter is not null;

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

        int descriptor = loop.System.Connect(address, out failedCall);
        if (descriptor < 0)
        {
            errno = -descriptor;
            loop.Release();
            return null;
        }

        errno = 0;
        return new Connection(loop, descriptor, mayRead: false);
    }

    /// <summary>Reads what is there: cleartext, decrypted if the connection is under TLS.</summary>
    /// <returns>Bytes read, 0 at the end of the stream, or <see cref="WouldBlock"/>.</returns>
    /// <exception cref="ConnectionEndedException">The connection failed or was aborted.</exception>
    public int TryRead(Span<byte> target)
    {
        ThrowIfOver();
        fixed (byte* pointer = target)
        {
            return _ssl != 0 ? TlsRead(pointer, target.Length) : Checked(Receive(pointer, target.Length));
        }
    }

    /// <summary>Completes when <see cref="TryRead"/> may have something. One waiter at a time.</summary>
    public ReadinessAwaitable Readable() => new(this, drain: false);

    /// <summary>Completes when the time has passed, whatever arrives meanwhile. One waiter at a time.</summary>
    public LoopDelay Delay(TimeSpan time) => new(this, time, endsWithInput: false);

    /// <summary>Completes when <see cref="TryRead"/> may have something, or the time has passed. One waiter at a time.</summary>
    public LoopDelay ReadableWithin(TimeSpan time) => new(this, time, endsWithInput: true);

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

    /// <summary>For a dialogue that has to know before it reads on whether the other side can be reached: see <see cref="Drained"/>.</summary>
    /// <exception cref="ConnectionEndedException">The call that failed, most often send(2), and its errno.</exception>
    public void ThrowIfSendFailed()
    {
        if (_sendErrno != 0)
        {
            throw new ConnectionEndedException(this, ConnectionEnd.SocketError, _sendErrno, _failedCall);
        }
    }

    /// <summary>
    /// Ends what is being waited for with an exception: the deadline of the current step passed. Call on the loop.
    /// </summary>
    public void Abort(ConnectionEnd reason)
    {
        _aborted = reason;
        if (_waiter is { } continuation)
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
        _handler = null;
        _loop.Release();
        _loop.Memory.Free(_isClients ? MemoryGate.ClientBytes : 0);
    }

    /// <summary>
    /// Ends the connection from our side: sends what is unsent, close_notify under TLS, and closes once the other side
    /// has closed too, or after 3 seconds.
    /// </summary>
    /// <param name="stallMilliseconds">How long the kernel may refuse to take unsent bytes before they are given up.</param>
    public void CloseGracefully(long stallMilliseconds)
    {
        if (Descriptor < 0 || _handler is LingeringClose)
        {
            return;
        }

        bool notified = SendCloseNotify();
        _loop.ClaimOut(this);
        _loop.FlushOwner();
        if (_sendErrno != 0 || (!HasUnsent && (_endOfStream || (!notified && !HasUnreadInput()))))
        {
            Close();
            return;
        }

        new LingeringClose(this, stallMilliseconds, sendEnd: !notified).Begin();
    }

    /// <summary>
    /// While a dialogue waits for another connection: calls back when something may be read here. Until <see cref="Unwatch"/>.
    /// </summary>
    public void Watch(Action readable) => SetHandler(new Watcher(readable));

    /// <summary>Ends <see cref="Watch"/>.</summary>
    public void Unwatch()
    {
        if (_handler is Watcher)
        {
            _handler = null;
        }
    }

    /// <summary>
    /// Between two uses nothing is expected: whatever arrives, or the other side closing, closes the connection.
    /// </summary>
    public void BeginIdle() => SetHandler(IdleGuard.Instance);

    /// <summary>Takes the connection back into use.</summary>
    /// <returns>False if something has arrived meanwhile: it must not be used.</returns>
    public bool EndIdle()
    {
        _handler = null;
        return Descriptor >= 0 && !_mayRead && !_endOfStream && _sendErrno == 0;
    }

    /// <summary>The local address, as getsockname(2) tells it.</summary>
    public EndpointAddress GetLocalAddress()
    {
        byte* buffer = stackalloc byte[Libc.SockaddrBytes];
        int result = _loop.System.GetLocalAddress(Descriptor, buffer);
        return result >= 0
            ? SocketAddresses.Read(new ReadOnlySpan<byte>(buffer, Libc.SockaddrBytes))
            : throw SystemCallException.FromErrno("getsockname()", -result);
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

        if ((events & (Libc.EPOLLPRI | Libc.EPOLLERR)) != 0)
        {
            // The urgent byte itself is nobody's, and dropped by the kernel; mail protocols do not know it. An error is what the next read tells.
            _mustReadOn = true;
        }

        if (HasUnsent && (events & (Libc.EPOLLOUT | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0)
        {
            SendUnsent();
        }

        if (_handler is not null)
        {
            _handler.OnReady(this);
        }
        else if (_waiter is { } continuation && IsOver(_waitsFor))
        {
            _waiter = null;
            continuation();
        }
    }

    protected internal override void OnFault()
    {
        _handler?.OnFault(this);
        Close();
    }

    protected internal override void OnShutdownTimeout()
    {
        if (_handler is not null)
        {
            _handler.OnShutdownTimeout(this);
        }
        else
        {
            // A dialogue that waits here ends now; one that waits elsewhere ends when it comes back.
            Abort(ConnectionEnd.ShutdownTimeout);
        }
    }

    /// <summary>From now on events go to the handler, without a dialogue or its state machine.</summary>
    internal void SetHandler(IConnectionHandler? handler)
    {
        _waiter = null;
        _handler = handler;
        if (handler is not null)
        {
            _ = TryRegister();
        }
    }

    /// <summary>Whether a read may yield something without an event coming first.</summary>
    internal bool MayRead => _mayRead || _endOfStream || HasTlsInput || IsTlsBroken;

    /// <summary>Sends the loop's out buffer, which this connection owns.</summary>
    internal void SendOut()
    {
        LoopBuffers buffers = _loop.Buffers;
        int length = buffers.OutLength;
        buffers.OutLength = 0;
        if (length > 0)
        {
            SendOrKeep(buffers.Out, length);
            if (_mayHoldSecrets && _ssl == 0)
            {
                LoopBuffers.Wipe(buffers.Out, length);
            }
        }
    }

    /// <summary>Sends the bytes, keeping a copy of what the kernel does not take. Order with earlier bytes is the caller's care.</summary>
    internal void SendOrKeep(byte* data, int length)
    {
        if (_sendErrno != 0 || Descriptor < 0)
        {
            return;
        }

        int sent = 0;
        if (_unsent is null)
        {
            sent = _loop.System.Send(Descriptor, data, length);
            if (sent == length)
            {
                return;
            }

            if (sent < 0)
            {
                if (-sent != Libc.EAGAIN)
                {
                    FailSend(-sent);
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
            if (n < length && !_mustReadOn)
            {
                // Everything that had arrived was taken. If the end had been announced before, this was the last of it.
                _mayRead = false;
                _endOfStream = _hangUp;
            }

            return n;
        }

        _mayRead = false;
        if (n == 0 || (n == -Libc.EAGAIN && _sendErrno != 0))
        {
            // What cannot be written to has nothing more to say either once its last bytes were read.
            _endOfStream = true;
            return 0;
        }

        return -n == Libc.EAGAIN ? WouldBlock : n == -1 ? -Libc.ECONNRESET : n;
    }

    /// <summary>For the relay: cleartext goes straight from the loop's plain buffer to the kernel, without a copy.</summary>
    internal void WriteFromRelay(byte* data, int length)
    {
        if (_ssl != 0)
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

    /// <summary>A read's result for a dialogue: an end that a failed call has caused is that failure.</summary>
    private int Checked(int n) => n > 0 || IsWouldBlock(n) ? n
        : n < 0 ? throw new ConnectionEndedException(this, ConnectionEnd.SocketError, -n, "recv()")
        : _sendErrno == 0 ? 0
        : throw new ConnectionEndedException(this, ConnectionEnd.SocketError, _sendErrno, IsConnectFailure(_sendErrno) ? "recv()" : _failedCall);

    private bool HasUnreadInput()
    {
        if (_mayRead && Descriptor >= 0)
        {
            // Closing with unread bytes makes the kernel reset the connection, which can destroy our last reply.
            return ReceiveToDiscard() > 0 && !_endOfStream;
        }

        return false;
    }

    /// <summary>Takes in what nobody will read; a client that was turned away may have sent its password nevertheless.</summary>
    private int ReceiveToDiscard()
    {
        int n = Receive(_loop.Buffers.In, LoopBuffers.InBytes);
        if (n > 0 && _mayHoldSecrets)
        {
            LoopBuffers.Wipe(_loop.Buffers.In, n);
        }

        return n;
    }

    internal void ThrowIfOver()
    {
        if (_aborted is { } reason)
        {
            throw new ConnectionEndedException(this, reason);
        }

        if (Descriptor < 0)
        {
            throw new ConnectionEndedException(this, ConnectionEnd.EndOfStream);
        }
    }

    /// <summary>Asks for events, if that has not happened yet.</summary>
    /// <returns>False if there will be none: closed, or the kernel refuses. A read tells then.</returns>
    private bool TryRegister()
    {
        if (TableIndex >= 0 || Descriptor < 0)
        {
            return Descriptor >= 0;
        }

        _outArmed = HasUnsent;
        int result = _loop.Register(this, HasUnsent ? ReadInterest | Libc.EPOLLOUT : ReadInterest);
        if (result < 0)
        {
            FailEvents(-result);
        }

        return result >= 0;
    }

    private void ArmOut()
    {
        if (_outArmed)
        {
            return;
        }

        if (TableIndex < 0)
        {
            _ = TryRegister();
            return;
        }

        _outArmed = true;
        int result = _loop.Modify(this, ReadInterest | Libc.EPOLLOUT);
        if (result < 0)
        {
            FailEvents(-result);
        }
    }

    /// <summary>
    /// send(2) failed. Whoever waits for input is woken in the next turn: the error may have been all the kernel had to
    /// tell (one of a connection under way is reported once), or raise no event at all (ENOBUFS).
    /// </summary>
    private void FailSend(int errno) => FailWrites(errno, "send()");

    /// <summary>Without events the connection is of no use: its stream ends here, for both directions.</summary>
    private void FailEvents(int errno)
    {
        _endOfStream = true;
        FailWrites(errno, "epoll_ctl()");
    }

    private void FailWrites(int errno, string call)
    {
        if (_sendErrno == 0)
        {
            (_sendErrno, _failedCall) = (errno, call);
            ReleaseUnsent();
            _loop.Defer(this);
        }
    }

    void IDeferred.RunDeferred()
    {
        if (Descriptor >= 0)
        {
            OnEvents(Libc.EPOLLERR);
        }
    }

    /// <summary>Whether a connection under way ends with this number. Where nginx reads it meets it in recv(2), and names that.</summary>
    private static bool IsConnectFailure(int errno) => errno is Libc.ECONNREFUSED or Libc.ENETDOWN or Libc.ENETUNREACH
        or Libc.EHOSTDOWN or Libc.EHOSTUNREACH or Libc.ETIMEDOUT;

    private void Keep(ReadOnlySpan<byte> rest)
    {
        _loop.Memory.Take(rest.Length, _loop.Now);
        if (_unsent is null)
        {
            // It may hold a password on its way to a backend.
            _unsentIsSecret = _mayHoldSecrets;
            _unsent = RentUnsent(rest.Length);
            _unsentStart = _unsentEnd = 0;
        }
        else if (_unsent.Length - _unsentEnd < rest.Length)
        {
            byte[] larger = RentUnsent(Math.Max(_unsentEnd - _unsentStart + rest.Length, _unsent.Length));
            ReadOnlySpan<byte> old = _unsent.AsSpan(_unsentStart, _unsentEnd - _unsentStart);
            old.CopyTo(larger);
            ReturnUnsent(_unsent);
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
                    FailSend(-n);
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
            ReturnUnsent(_unsent);
            _unsent = null;
        }
    }

    private byte[] RentUnsent(int length) => _unsentIsSecret ? _loop.Secrets.Rent(length) : ArrayPool<byte>.Shared.Rent(length);

    private void ReturnUnsent(byte[] buffer)
    {
        if (_unsentIsSecret)
        {
            _loop.Secrets.Return(buffer);
        }
        else
        {
            ArrayPool<byte>.Shared.Return(buffer);
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

        // Registering belongs here: a refusal of the kernel must be met by the read that follows, and a method that an async
        // state machine calls to suspend itself must not throw, or the process ends.
        public bool IsCompleted => _connection._aborted is not null
            || (_drain ? _connection.IsDrainedNow() : _connection.MayRead)
            || _connection.IsEndedByShutdown()
            || !_connection.TryRegister();

        public ReadinessAwaitable GetAwaiter() => this;

        public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

        public void UnsafeOnCompleted(Action continuation) =>
            _connection.Wait(continuation, _drain ? WaitKind.Drain : WaitKind.Input);

        /// <exception cref="ConnectionEndedException">The wait was aborted, or the connection closed.</exception>
        public void GetResult() => _connection.ThrowIfOver();
    }

    /// <summary>Only an abort, <see cref="EndWaitForTime"/>, or input if asked for end this wait; otherwise input is remembered.</summary>
    internal void WaitForTime(Action continuation, bool endsWithInput)
    {
        // A graceful stop finds what is left by the loop's table.
        _ = TryRegister();
        Wait(continuation, endsWithInput ? WaitKind.InputOrTime : WaitKind.Time);
    }

    internal void EndWaitForTime()
    {
        if (_waitsFor is WaitKind.Time or WaitKind.InputOrTime && _waiter is { } continuation)
        {
            _waiter = null;
            continuation();
        }
    }

    private void Wait(Action continuation, WaitKind kind)
    {
        Debug.Assert(_waiter is null && _handler is null, "one waiter at a time");
        _waitsFor = kind;
        _waiter = continuation;
        _handler = null;
    }

    /// <summary>Not yet in the loop's table, a connection is missed when the loop ends what is left.</summary>
    private bool IsEndedByShutdown()
    {
        if (_loop.IsShutDown)
        {
            _aborted ??= ConnectionEnd.ShutdownTimeout;
        }

        return _loop.IsShutDown;
    }

    private bool IsOver(WaitKind kind) => kind switch
    {
        WaitKind.Input or WaitKind.InputOrTime => _mayRead,
        WaitKind.Drain => !HasUnsent,
        _ => false,
    };

    private bool IsDrainedNow()
    {
        _loop.ClaimOut(this);
        _loop.FlushOwner();
        return !HasUnsent;
    }
}

/// <summary>Passes events of a connection on while its dialogue waits for another one.</summary>
internal sealed class Watcher(Action readable) : IConnectionHandler
{
    public void OnReady(Connection connection) => readable();

    public void OnShutdownTimeout(Connection connection) => connection.Abort(ConnectionEnd.ShutdownTimeout);
}

/// <summary>Closes a connection when anything arrives on it, its end included.</summary>
internal sealed class IdleGuard : IConnectionHandler
{
    public static IdleGuard Instance { get; } = new();

    public void OnReady(Connection connection)
    {
        // Space for sending means nothing: a unix socket announces it whenever the other side has read.
        if (connection.MayRead || connection.SendErrno != 0)
        {
            connection.Close();
        }
    }

    public void OnShutdownTimeout(Connection connection) => connection.Close();
}

/// <summary>Takes a connection's events once its dialogue is over.</summary>
internal interface IConnectionHandler
{
    /// <summary>Something may be read, or unsent bytes have gone.</summary>
    void OnReady(Connection connection);

    /// <summary>The time for a graceful stop is over.</summary>
    void OnShutdownTimeout(Connection connection);

    /// <summary>The handler threw; the connection is closed after this.</summary>
    void OnFault(Connection connection)
    {
    }
}
