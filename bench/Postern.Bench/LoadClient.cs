using System.Diagnostics;
using System.Text;

namespace Postern.Bench;

/// <summary>What a new client does.</summary>
internal enum LoadTask
{
    LogInAndOut,
    LogInAndStay,
}

/// <summary>One mail client: connects, logs in, and does what it is told; each event moves it as far as it goes.</summary>
internal sealed unsafe class LoadClient(LoadGenerator generator, int index)
{
    private const int WouldBlock = -1;
    private const int MaxReplyBytes = 512;
    private const int WriteBytes = 16 * 1024;

    private readonly byte[] _reply = new byte[MaxReplyBytes];
    private LoadTarget? _target;
    private LoadTask _task;
    private Step _step;
    private nint _ssl;
    private int _descriptor = -1;
    private int _replyLength;
    private long _connectedAt;
    private long _left;
    private int _exchange;
    private int _messageOffset;

    private enum Step
    {
        Handshaking,
        AwaitingGreeting,
        LoggingIn,
        LoggingOut,
        RoundTrips,
        Streaming,
        Sinking,
        AwaitingSunk,
        SendingEnvelope,
        SendingMessage,
        Idle,
    }

    /// <summary>From connect(2), or when that was due, to the OK of the login.</summary>
    public long LoginNanoseconds { get; private set; }

    /// <summary>It is there to stay: its end is a lost session.</summary>
    public bool IsHeld => _task == LoadTask.LogInAndStay;

    private Dialogue Dialogue => _target!.Dialogue;

    /// <param name="target">Where to.</param>
    /// <param name="task">What to do there.</param>
    /// <param name="epoll">What watches the socket.</param>
    /// <param name="since">Timestamp from which the login is timed; 0 = now.</param>
    public void Connect(LoadTarget target, LoadTask task, int epoll, long since = 0)
    {
        _target = target;
        _task = task;
        _exchange = 0;
        _step = target.Tls is null ? Step.AwaitingGreeting : Step.Handshaking;
        _replyLength = 0;
        _descriptor = Native.NewSocket();
        int on = 1;
        _ = Native.setsockopt(_descriptor, Native.IPPROTO_TCP, Native.TCP_NODELAY, &on, sizeof(int));
        byte* address = stackalloc byte[16];
        if (target.SourceHost > 0)
        {
            _ = Native.setsockopt(_descriptor, Native.IPPROTO_IP, Native.IP_BIND_ADDRESS_NO_PORT, &on, sizeof(int));
            Native.WriteAddress(address, 0, target.SourceHost);
            _ = Native.Check(Native.bind(_descriptor, address, 16), "bind()");
        }

        Native.WriteAddress(address, target.Port);
        _connectedAt = since == 0 ? Stopwatch.GetTimestamp() : since;
        if (Native.connect(_descriptor, address, 16) < 0 && Native.LastError != Native.EINPROGRESS)
        {
            throw Failed("connect() failed");
        }

        Native.Watch(
            epoll, Native.EPOLL_CTL_ADD, _descriptor, Native.EPOLLIN | Native.EPOLLOUT | Native.EPOLLRDHUP | Native.EPOLLET, index);
    }

    public void BeginRoundTrips(int count)
    {
        _left = count;
        _step = Step.RoundTrips;
        Send(Dialogue.Ping.Line);
    }

    /// <summary>IMAP with the fake backend's own verb.</summary>
    public void BeginStream(long bytes)
    {
        _left = bytes;
        _step = Step.Streaming;
        Send(Encoding.ASCII.GetBytes($"a STREAM {bytes}\r\n"));
    }

    /// <summary>IMAP with the fake backend's own verb.</summary>
    public void BeginSink(long bytes)
    {
        Send(Encoding.ASCII.GetBytes($"a SINK {bytes}\r\n"));
        _left = bytes;
        _step = Step.Sinking;
        Sink();
    }

    /// <summary>SMTP: one message.</summary>
    /// <param name="bytes">A multiple of <see cref="Dialogue.MessageLineBytes"/>.</param>
    public void BeginMessage(long bytes)
    {
        _left = bytes;
        _messageOffset = 0;
        _exchange = 0;
        _step = Step.SendingEnvelope;
        Send(Dialogue.Envelope[0].Line);
    }

    public void BeginLogOut()
    {
        _step = Step.LoggingOut;
        Send(Dialogue.LogOut.Line);
    }

    public void Abandon()
    {
        if (_descriptor >= 0)
        {
            Close();
        }
    }

    /// <summary>Goes on as far as it can.</summary>
    /// <returns>True when what it was told to do is done.</returns>
    public bool OnEvent()
    {
        if (_descriptor < 0)
        {
            return false;
        }

        if (_step == Step.Handshaking && !Handshake())
        {
            return false;
        }

        if (_step == Step.Sinking)
        {
            Sink();
        }
        else if (_step == Step.SendingMessage)
        {
            SendMessage();
        }

        while (true)
        {
            int n = Read();
            if (n == WouldBlock)
            {
                return false;
            }

            if (n == 0)
            {
                if (_step != Step.LoggingOut)
                {
                    throw Failed("the proxy closed the connection");
                }

                Close();
                return true;
            }

            if (Take(n))
            {
                return true;
            }
        }
    }

    /// <returns>True when done.</returns>
    private bool Take(int count)
    {
        switch (_step)
        {
            case Step.Streaming:
                _left -= count;
                return _left <= 0 && Finish();
            case Step.LoggingOut:
                return false;
            case Step.Idle:
                throw Failed("the proxy sent something unasked");
            default:
                TakeReply(new ReadOnlySpan<byte>(generator.Buffer, count));
                return _step != Step.Idle && IsReplyComplete() && OnReply();
        }
    }

    private void TakeReply(ReadOnlySpan<byte> bytes)
    {
        if (_replyLength + bytes.Length > MaxReplyBytes)
        {
            throw Failed("too long reply");
        }

        bytes.CopyTo(_reply.AsSpan(_replyLength));
        _replyLength += bytes.Length;
    }

    /// <summary>Whether the last line of a reply is there.</summary>
    private bool IsReplyComplete()
    {
        ReadOnlySpan<byte> reply = _reply.AsSpan(0, _replyLength);
        if (reply.IsEmpty || reply[^1] != (byte)'\n')
        {
            return false;
        }

        ReadOnlySpan<byte> last = reply[(reply[..^1].LastIndexOf((byte)'\n') + 1)..];
        return last.StartsWith(Expected)
            || (Dialogue.IsContinued(last) ? false : throw Failed($"unexpected reply \"{Encoding.ASCII.GetString(last).TrimEnd()}\""));
    }

    private byte[] Expected => _step switch
    {
        Step.AwaitingGreeting => Dialogue.Greeting,
        Step.LoggingIn => Dialogue.Login[_exchange].Reply,
        Step.RoundTrips => Dialogue.Ping.Reply,
        Step.SendingEnvelope => Dialogue.Envelope[_exchange].Reply,
        Step.AwaitingSunk when Dialogue.Accepted.Length > 0 => Dialogue.Accepted,
        _ => Dialogue.Ping.Reply,
    };

    private bool OnReply()
    {
        _replyLength = 0;
        switch (_step)
        {
            case Step.AwaitingGreeting:
                _step = Step.LoggingIn;
                Send(Dialogue.Login[0].Line);
                return false;
            case Step.LoggingIn when ++_exchange < Dialogue.Login.Count:
                Send(Dialogue.Login[_exchange].Line);
                return false;
            case Step.LoggingIn:
                LoginNanoseconds = Stopwatch.GetElapsedTime(_connectedAt).Ticks * 100;
                return OnLoggedIn();
            case Step.RoundTrips when --_left > 0:
                Send(Dialogue.Ping.Line);
                return false;
            case Step.SendingEnvelope when ++_exchange < Dialogue.Envelope.Count:
                Send(Dialogue.Envelope[_exchange].Line);
                return false;
            case Step.SendingEnvelope:
                _step = Step.SendingMessage;
                SendMessage();
                return false;
            default:
                return Finish();
        }
    }

    private bool OnLoggedIn()
    {
        if (_target!.Tls is { } tls)
        {
            if (tls.Resumes && tls.HasSession && Native.SSL_session_reused(_ssl) != 1)
            {
                throw Failed("the proxy did not resume the TLS session");
            }

            tls.Learn(_ssl);
        }

        if (_task == LoadTask.LogInAndStay)
        {
            return Finish();
        }

        BeginLogOut();
        return false;
    }

    private bool Finish()
    {
        _step = Step.Idle;
        return true;
    }

    private void Sink()
    {
        while (_left > 0)
        {
            int n = Write(generator.Buffer, (int)Math.Min(_left, WriteBytes));
            if (n == WouldBlock)
            {
                return;
            }

            _left -= n;
        }

        _step = Step.AwaitingSunk;
    }

    private void SendMessage()
    {
        while (_left > 0)
        {
            int length = (int)Math.Min(_left, generator.MessageBytes - _messageOffset);
            int n = Write(generator.Message + _messageOffset, length);
            if (n == WouldBlock)
            {
                return;
            }

            _left -= n;
            _messageOffset = (_messageOffset + n) % generator.MessageBytes;
        }

        ReadOnlySpan<byte> end = ".\r\n"u8;
        fixed (byte* pointer = end)
        {
            int n = Write(pointer, end.Length);
            if (n == WouldBlock)
            {
                return;
            }

            _step = n == end.Length ? Step.AwaitingSunk : throw Failed("the proxy does not take a command");
        }
    }

    private bool Handshake()
    {
        if (_ssl == 0)
        {
            _ssl = _target!.Tls!.Open(_descriptor);
        }

        Native.ERR_clear_error();
        int result = Native.SSL_do_handshake(_ssl);
        if (result == 1)
        {
            _step = Step.AwaitingGreeting;
            return true;
        }

        int error = Native.SSL_get_error(_ssl, result);
        return error is Native.SSL_ERROR_WANT_READ or Native.SSL_ERROR_WANT_WRITE
            ? false
            : throw Failed($"TLS handshake failed (SSL_get_error {error})");
    }

    private int Read()
    {
        if (_ssl == 0)
        {
            int received = (int)Native.recv(_descriptor, generator.Buffer, LoadGenerator.BufferBytes, 0);
            return received >= 0 ? received : Native.LastError == Native.EAGAIN ? WouldBlock : throw Failed("recv() failed");
        }

        Native.ERR_clear_error();
        int n = Native.SSL_read(_ssl, generator.Buffer, LoadGenerator.BufferBytes);
        if (n > 0)
        {
            return n;
        }

        return Native.SSL_get_error(_ssl, n) switch
        {
            Native.SSL_ERROR_WANT_READ => WouldBlock,
            Native.SSL_ERROR_ZERO_RETURN => 0,
            int error => throw Failed($"SSL_read() failed (SSL_get_error {error})"),
        };
    }

    private int Write(byte* data, int length)
    {
        if (_ssl == 0)
        {
            int sent = (int)Native.send(_descriptor, data, (nuint)length, Native.MSG_NOSIGNAL);
            return sent >= 0 ? sent : Native.LastError == Native.EAGAIN ? WouldBlock : throw Failed("send() failed");
        }

        Native.ERR_clear_error();
        int n = Native.SSL_write(_ssl, data, length);
        return n > 0 ? n : Native.SSL_get_error(_ssl, n) == Native.SSL_ERROR_WANT_WRITE ? WouldBlock : throw Failed("SSL_write() failed");
    }

    private void Send(ReadOnlySpan<byte> command)
    {
        fixed (byte* pointer = command)
        {
            if (Write(pointer, command.Length) != command.Length)
            {
                throw Failed("the proxy does not take a command");
            }
        }
    }

    private void Close()
    {
        if (_ssl != 0)
        {
            Native.ERR_clear_error();
            if (_step == Step.LoggingOut)
            {
                _ = Native.SSL_shutdown(_ssl);
            }

            // Otherwise SSL_free marks the session that others still offer as not resumable.
            Native.SSL_set_shutdown(_ssl, Native.SSL_SENT_AND_RECEIVED_SHUTDOWN);
            Native.SSL_free(_ssl);
            _ssl = 0;
        }

        _ = Native.close(_descriptor);
        _descriptor = -1;
    }

    private LoadFailedException Failed(string what) => new($"{what} (while {_step})");
}
