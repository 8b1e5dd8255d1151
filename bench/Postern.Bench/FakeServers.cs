using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Postern.Bench;

/// <summary>What a connection to the fakes is for.</summary>
internal enum FakeService
{
    Imap,
    Pop3,
    Smtp,
    Auth,
}

/// <summary>The ports the fakes listen on.</summary>
internal sealed record FakePorts(int Imap, int Pop3, int Smtp, int Auth)
{
    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Imap} {Pop3} {Smtp} {Auth}");

    public static FakePorts Parse(string line)
    {
        int[] ports = [.. line.Split(' ').Select(port => int.Parse(port, CultureInfo.InvariantCulture))];
        return new FakePorts(ports[0], ports[1], ports[2], ports[3]);
    }
}

/// <summary>
/// What stands behind the proxies: IMAP, POP3 and SMTP backends and an auth server on one thread, as cheap as can be so that
/// they are not what is measured.
/// </summary>
/// <remarks>
/// The IMAP backend knows LOGIN (quoted, atoms or literals), NOOP, LOGOUT, and two verbs of its own: <c>STREAM n</c> sends n
/// bytes, <c>SINK n</c> takes n bytes and then says OK. The POP3 backend says +OK to everything, the SMTP backend takes
/// everything (XCLIENT and AUTH too) and drops the messages. The auth server sends everyone to the backend of their
/// protocol; it keeps the connection where asked to and closes it otherwise, as nginx's HTTP/1.0 expects.
/// </remarks>
internal sealed unsafe class FakeServers
{
    private const int ChunkBytes = 256 * 1024;
    private const int MaxEvents = 256;

    private readonly int _epoll = Native.NewEpoll();
    private readonly Dictionary<int, FakeService> _listeners = [];
    private readonly byte* _buffer = (byte*)NativeMemory.AlignedAlloc(ChunkBytes, 4096);
    private readonly byte* _stream = (byte*)NativeMemory.AlignedAlloc(ChunkBytes, 4096);
    private readonly int _hosts;
    private readonly byte[][] _authKept;
    private readonly byte[][] _authClosed;
    private FakeConnection?[] _connections = new FakeConnection?[256];
    private int _nextHost;

    /// <param name="hosts">
    /// The backends listen on 127.0.1.1 to 127.0.1.n and clients are sent there by turns, so that the proxy does not run out of
    /// ports towards them; 0 = on 127.0.0.1.
    /// </param>
    public FakeServers(int hosts)
    {
        _hosts = Math.Max(1, hosts);
        Ports = new FakePorts(
            ListenOn(FakeService.Imap, hosts), ListenOn(FakeService.Pop3, hosts), ListenOn(FakeService.Smtp, hosts), ListenOn(FakeService.Auth, 0));
        new Span<byte>(_stream, ChunkBytes).Fill((byte)'x');
        _authKept = new byte[3 * _hosts][];
        _authClosed = new byte[3 * _hosts][];
        foreach ((FakeService service, int port) in new[]
            { (FakeService.Imap, Ports.Imap), (FakeService.Pop3, Ports.Pop3), (FakeService.Smtp, Ports.Smtp) })
        {
            for (int host = 0; host < _hosts; host++)
            {
                string address = hosts == 0 ? "127.0.0.1" : $"127.0.1.{host + 1}";
                string head = $"Auth-Status: OK\r\nAuth-Server: {address}\r\nAuth-Port: {port}\r\nContent-Length: 0\r\n";
                int index = ((int)service * _hosts) + host;
                _authKept[index] = Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{head}Connection: keep-alive\r\n\r\n");
                _authClosed[index] = Encoding.ASCII.GetBytes($"HTTP/1.0 200 OK\r\n{head}Connection: close\r\n\r\n");
            }
        }
    }

    public FakePorts Ports { get; }

    /// <summary>Serves until the process is killed.</summary>
    public void Run()
    {
        byte* events = stackalloc byte[MaxEvents * 16];
        while (true)
        {
            int count = Native.epoll_wait(_epoll, events, MaxEvents, -1);
            for (int i = 0; i < count; i++)
            {
                Dispatch(Native.EventData(events, i));
            }
        }
    }

    private void Dispatch(int fd)
    {
        if (_listeners.TryGetValue(fd, out FakeService service))
        {
            Accept(fd, service);
        }
        else if (_connections[fd] is { } connection)
        {
            if (connection.ToStream > 0)
            {
                Stream(connection);
            }
            else
            {
                Receive(connection);
            }
        }
    }

    /// <returns>The port taken.</returns>
    private int ListenOn(FakeService service, int hosts)
    {
        int port = 0;
        for (int host = Math.Min(1, hosts); host <= hosts; host++)
        {
            int fd = Native.Listen(ref port, host);
            _listeners.Add(fd, service);
            Native.Watch(_epoll, Native.EPOLL_CTL_ADD, fd, Native.EPOLLIN, fd);
        }

        return port;
    }

    private void Accept(int listener, FakeService service)
    {
        while (true)
        {
            int fd = Native.accept4(listener, null, null, Native.SOCK_NONBLOCK | Native.SOCK_CLOEXEC);
            if (fd < 0)
            {
                return;
            }

            if (fd >= _connections.Length)
            {
                Array.Resize(ref _connections, fd * 2);
            }

            int on = 1;
            _ = Native.setsockopt(fd, Native.IPPROTO_TCP, Native.TCP_NODELAY, &on, sizeof(int));
            _connections[fd] = new FakeConnection(fd, service);
            Native.Watch(_epoll, Native.EPOLL_CTL_ADD, fd, Native.EPOLLIN, fd);
            Send(fd, Greeting(service));
        }
    }

    private static ReadOnlySpan<byte> Greeting(FakeService service) => service switch
    {
        FakeService.Imap => "* OK fake backend ready\r\n"u8,
        FakeService.Pop3 => "+OK fake backend ready\r\n"u8,
        FakeService.Smtp => "220 fake backend ready\r\n"u8,
        _ => [],
    };

    private void Receive(FakeConnection connection)
    {
        nint n = Native.recv(connection.Descriptor, _buffer, ChunkBytes, 0);
        if (n <= 0)
        {
            if (n == 0 || Native.LastError != Native.EAGAIN)
            {
                Close(connection);
            }

            return;
        }

        var received = new ReadOnlySpan<byte>(_buffer, (int)n);
        if (connection.IsMessage)
        {
            connection.TakeMessage(received);
            if (!connection.IsMessage)
            {
                Send(connection.Descriptor, "250 2.0.0 taken\r\n"u8);
            }

            return;
        }

        if (connection.ToSink > 0)
        {
            int taken = (int)Math.Min(connection.ToSink, received.Length);
            connection.ToSink -= taken;
            received = received[taken..];
            if (connection.ToSink == 0)
            {
                Send(connection.Descriptor, "a OK sunk\r\n"u8);
            }
        }

        if (received.Length > 0)
        {
            connection.Append(received);
            Answer(connection);
        }
    }

    private void Answer(FakeConnection connection)
    {
        if (connection.Service == FakeService.Auth)
        {
            AnswerAuth(connection);
            return;
        }

        while (connection.ToStream == 0 && connection.Input.IndexOf((byte)'\n') is >= 0 and int end)
        {
            ReadOnlySpan<byte> line = connection.Input[..end].TrimEnd((byte)'\r');
            bool open = connection.Service == FakeService.Imap ? AnswerImap(connection, line) : AnswerLine(connection, line);
            if (!open)
            {
                return;
            }

            connection.Consume(end + 1);
            if (connection.ToSink > 0)
            {
                connection.ToSink -= connection.Input.Length;
                connection.Consume(connection.Input.Length);
            }
        }
    }

    private void AnswerAuth(FakeConnection connection)
    {
        int end = connection.Input.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return;
        }

        ReadOnlySpan<byte> request = connection.Input[..end];
        FakeService service = request.IndexOf("Auth-Protocol: imap"u8) >= 0 ? FakeService.Imap
            : request.IndexOf("Auth-Protocol: pop3"u8) >= 0 ? FakeService.Pop3
            : FakeService.Smtp;
        _nextHost = (_nextHost + 1) % _hosts;
        int index = ((int)service * _hosts) + _nextHost;
        if (request.IndexOf("Connection: keep-alive"u8) >= 0)
        {
            connection.Consume(end + 4);
            Send(connection.Descriptor, _authKept[index]);
            return;
        }

        Send(connection.Descriptor, _authClosed[index]);
        Close(connection);
    }

    /// <summary>POP3 and SMTP.</summary>
    /// <returns>False if the connection was closed.</returns>
    private bool AnswerLine(FakeConnection connection, ReadOnlySpan<byte> line)
    {
        int fd = connection.Descriptor;
        bool isSmtp = connection.Service == FakeService.Smtp;
        if (line.StartsWith("QUIT"u8))
        {
            Send(fd, isSmtp ? "221 2.0.0 bye\r\n"u8 : "+OK bye\r\n"u8);
            Close(connection);
            return false;
        }

        if (!isSmtp)
        {
            Send(fd, "+OK\r\n"u8);
        }
        else if (line.StartsWith("AUTH "u8))
        {
            Send(fd, "235 2.7.0 accepted\r\n"u8);
        }
        else if (line.StartsWith("XCLIENT "u8))
        {
            Send(fd, "220 fake backend ready\r\n"u8);
        }
        else if (line.SequenceEqual("DATA"u8))
        {
            connection.BeginMessage();
            Send(fd, "354 go on\r\n"u8);
        }
        else
        {
            Send(fd, "250 2.0.0 done\r\n"u8);
        }

        return true;
    }

    /// <returns>False if the connection was closed.</returns>
    private bool AnswerImap(FakeConnection connection, ReadOnlySpan<byte> line)
    {
        int fd = connection.Descriptor;
        if (line.EndsWith("}"u8))
        {
            // No user or password here holds a line break, so that a literal's bytes are the next line.
            connection.ExpectsLiteral = true;
            Send(fd, "+ go on\r\n"u8);
            return true;
        }

        if (connection.ExpectsLiteral)
        {
            connection.ExpectsLiteral = false;
            Send(fd, connection.LoginTag, " OK logged in\r\n"u8);
            return true;
        }

        int space = line.IndexOf((byte)' ');
        ReadOnlySpan<byte> tag = space < 0 ? line : line[..space];
        ReadOnlySpan<byte> rest = space < 0 ? [] : line[(space + 1)..];
        if (rest.StartsWith("LOGOUT"u8))
        {
            Send(fd, "* BYE\r\n"u8, tag, " OK\r\n"u8);
            Close(connection);
            return false;
        }

        if (rest.StartsWith("STREAM "u8))
        {
            connection.ToStream = long.Parse(rest[7..], null);
            Native.Watch(_epoll, Native.EPOLL_CTL_MOD, fd, Native.EPOLLOUT, fd);
        }
        else if (rest.StartsWith("SINK "u8))
        {
            connection.ToSink = long.Parse(rest[5..], null);
        }
        else
        {
            Send(fd, tag, " OK done\r\n"u8);
        }

        return true;
    }

    private void Stream(FakeConnection connection)
    {
        nint n = Native.send(connection.Descriptor, _stream, (nuint)Math.Min(connection.ToStream, ChunkBytes), Native.MSG_NOSIGNAL);
        if (n < 0)
        {
            if (Native.LastError != Native.EAGAIN)
            {
                Close(connection);
            }

            return;
        }

        connection.ToStream -= n;
        if (connection.ToStream == 0)
        {
            Native.Watch(_epoll, Native.EPOLL_CTL_MOD, connection.Descriptor, Native.EPOLLIN, connection.Descriptor);
        }
    }

    private void Close(FakeConnection connection)
    {
        _connections[connection.Descriptor] = null;
        _ = Native.close(connection.Descriptor);
    }

    private static void Send(int fd, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<byte> third = default)
    {
        Span<byte> all = stackalloc byte[128];
        first.CopyTo(all);
        second.CopyTo(all[first.Length..]);
        third.CopyTo(all[(first.Length + second.Length)..]);
        Send(fd, all[..(first.Length + second.Length + third.Length)]);
    }

    /// <summary>Replies are small and one at a time: the kernel always has room for them.</summary>
    private static void Send(int fd, ReadOnlySpan<byte> data)
    {
        if (data.IsEmpty)
        {
            return;
        }

        fixed (byte* pointer = data)
        {
            _ = Native.send(fd, pointer, (nuint)data.Length, Native.MSG_NOSIGNAL);
        }
    }

    private sealed class FakeConnection(int descriptor, FakeService service)
    {
        /// <summary>CR LF . CR LF (RFC 5321 section 4.1.1.4).</summary>
        private const ulong EndOfMessage = 0x0D_0A_2E_0D_0A;

        private const ulong FiveBytes = 0xFF_FFFF_FFFF;

        private byte[] _input = new byte[512];
        private int _length;
        private ulong _messageTail;

        public int Descriptor => descriptor;

        public FakeService Service => service;

        /// <summary>A message is being sent.</summary>
        public bool IsMessage { get; private set; }

        public ReadOnlySpan<byte> Input => _input.AsSpan(0, _length);

        public long ToStream { get; set; }

        public long ToSink { get; set; }

        public byte[] LoginTag { get; private set; } = [];

        public bool ExpectsLiteral
        {
            get;
            set
            {
                if (value && !field)
                {
                    LoginTag = Input[..Math.Max(0, Input.IndexOf((byte)' '))].ToArray();
                }

                field = value;
            }
        }

        public void BeginMessage()
        {
            IsMessage = true;
            _messageTail = 0;
        }

        /// <summary>Looks for the message's end at the end of what came: nobody here sends on before the reply.</summary>
        public void TakeMessage(ReadOnlySpan<byte> bytes)
        {
            foreach (byte b in bytes[Math.Max(0, bytes.Length - 5)..])
            {
                _messageTail = (_messageTail << 8) | b;
            }

            IsMessage = (_messageTail & FiveBytes) != EndOfMessage;
        }

        public void Append(ReadOnlySpan<byte> bytes)
        {
            if (_input.Length - _length < bytes.Length)
            {
                Array.Resize(ref _input, _length + bytes.Length);
            }

            bytes.CopyTo(_input.AsSpan(_length));
            _length += bytes.Length;
        }

        public void Consume(int count)
        {
            _input.AsSpan(count, _length - count).CopyTo(_input);
            _length -= count;
        }
    }
}
