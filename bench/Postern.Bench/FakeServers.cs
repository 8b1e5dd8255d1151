using System.Runtime.InteropServices;
using System.Text;

namespace Postern.Bench;

/// <summary>
/// What stands behind the proxies: an IMAP backend and an auth server on one thread, as cheap as can be so that they are
/// not what is measured.
/// </summary>
/// <remarks>
/// The backend knows LOGIN (quoted, atoms or literals), NOOP, LOGOUT, and two verbs of its own: <c>STREAM n</c> sends n
/// bytes, <c>SINK n</c> takes n bytes and then says OK. The auth server sends everyone to the backend; it keeps the
/// connection where asked to and closes it otherwise, as nginx's HTTP/1.0 expects.
/// </remarks>
internal sealed unsafe class FakeServers
{
    private const int ChunkBytes = 256 * 1024;
    private const int MaxEvents = 256;

    private readonly int _epoll = Native.NewEpoll();
    private readonly int _backendListener;
    private readonly int _authListener;
    private readonly byte* _buffer = (byte*)NativeMemory.AlignedAlloc(ChunkBytes, 4096);
    private readonly byte* _stream = (byte*)NativeMemory.AlignedAlloc(ChunkBytes, 4096);
    private readonly byte[] _authKept;
    private readonly byte[] _authClosed;
    private FakeConnection?[] _connections = new FakeConnection?[256];

    public FakeServers()
    {
        int port = 0;
        _backendListener = Native.Listen(ref port);
        BackendPort = port;
        port = 0;
        _authListener = Native.Listen(ref port);
        AuthPort = port;
        new Span<byte>(_stream, ChunkBytes).Fill((byte)'x');
        string head = $"Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {BackendPort}\r\nContent-Length: 0\r\n";
        _authKept = Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{head}Connection: keep-alive\r\n\r\n");
        _authClosed = Encoding.ASCII.GetBytes($"HTTP/1.0 200 OK\r\n{head}Connection: close\r\n\r\n");
    }

    public int BackendPort { get; }

    public int AuthPort { get; }

    /// <summary>Serves until the process is killed.</summary>
    public void Run()
    {
        Native.Watch(_epoll, Native.EPOLL_CTL_ADD, _backendListener, Native.EPOLLIN, _backendListener);
        Native.Watch(_epoll, Native.EPOLL_CTL_ADD, _authListener, Native.EPOLLIN, _authListener);
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
        if (fd == _backendListener || fd == _authListener)
        {
            Accept(fd);
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

    private void Accept(int listener)
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
            _connections[fd] = new FakeConnection(fd, listener == _authListener);
            Native.Watch(_epoll, Native.EPOLL_CTL_ADD, fd, Native.EPOLLIN, fd);
            if (listener == _backendListener)
            {
                Send(fd, "* OK fake backend ready\r\n"u8);
            }
        }
    }

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
        if (connection.IsAuth)
        {
            AnswerAuth(connection);
            return;
        }

        while (connection.ToStream == 0 && connection.Input.IndexOf((byte)'\n') is >= 0 and int end)
        {
            bool open = AnswerLine(connection, connection.Input[..end].TrimEnd((byte)'\r'));
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

        if (connection.Input.IndexOf("Connection: keep-alive"u8) >= 0)
        {
            connection.Consume(end + 4);
            Send(connection.Descriptor, _authKept);
            return;
        }

        Send(connection.Descriptor, _authClosed);
        Close(connection);
    }

    /// <returns>False if the connection was closed.</returns>
    private bool AnswerLine(FakeConnection connection, ReadOnlySpan<byte> line)
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
        fixed (byte* pointer = data)
        {
            _ = Native.send(fd, pointer, (nuint)data.Length, Native.MSG_NOSIGNAL);
        }
    }

    private sealed class FakeConnection(int descriptor, bool isAuth)
    {
        private byte[] _input = new byte[512];
        private int _length;

        public int Descriptor => descriptor;

        public bool IsAuth => isAuth;

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
