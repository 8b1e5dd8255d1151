using Postern.Interop;

namespace Postern.Net.Tests.Scripted;

/// <summary>A kernel played by a test: sockets without a network, an epoll without waiting, a clock that the script moves.</summary>
internal sealed unsafe class ScriptedSystemCalls : SystemCalls
{
    private const int FirstDescriptor = 100;

    private readonly Dictionary<int, ScriptedSocket> _open = [];
    private readonly Queue<ScriptedSocket> _ready = new(64);
    private long _now = 1_000_000;

    public override long Milliseconds => _now;

    /// <summary>Bytes of memory there are to be had.</summary>
    public long MemoryLeft { get; set; } = long.MaxValue;

    /// <summary>Sockets made by connect(2), in order.</summary>
    public List<ScriptedSocket> Connected { get; } = [];

    /// <summary>Addresses of <see cref="Connected"/>.</summary>
    public List<EndpointAddress> ConnectedTo { get; } = [];

    /// <summary>Whether connect(2) finishes at once; else the script establishes or fails the socket.</summary>
    public bool ConnectsAtOnce { get; set; } = true;

    /// <summary>Errno the next connect(2) fails with at once; 0 = none.</summary>
    public int ConnectError { get; set; }

    /// <summary>Errno epoll_ctl(2) fails with when adding; 0 = none.</summary>
    public int AddInterestError { get; set; }

    /// <summary>Errno epoll_ctl(2) fails with when modifying; 0 = none.</summary>
    public int ModifyInterestError { get; set; }

    /// <summary>Events fetched at a time.</summary>
    public int EventsPerWait { get; set; } = int.MaxValue;

    /// <summary>Timeout of the last epoll_wait(2).</summary>
    public int LastTimeout { get; private set; }

    /// <summary>Events the last epoll_wait(2) returned.</summary>
    public int LastEvents { get; private set; }

    public int OpenSockets => _open.Count;

    public bool HasReady => _ready.Count > 0;

    /// <summary>A connected socket under the lowest free number, as the kernel hands them out.</summary>
    public ScriptedSocket Open()
    {
        int descriptor = FirstDescriptor;
        while (_open.ContainsKey(descriptor))
        {
            descriptor++;
        }

        var socket = new ScriptedSocket(this, descriptor);
        _open.Add(descriptor, socket);
        return socket;
    }

    public void PassTime(long milliseconds) => _now += milliseconds;

    public override int Connect(EndpointAddress address, out string failedCall)
    {
        failedCall = "";
        if (ConnectError != 0)
        {
            failedCall = $"connect() to {address}";
            return -ConnectError;
        }

        ScriptedSocket socket = Open();
        socket.Connecting = !ConnectsAtOnce;
        Connected.Add(socket);
        ConnectedTo.Add(address);
        return socket.Descriptor;
    }

    public override bool HasRoomFor(long bytes) => bytes <= MemoryLeft;

    public override int GetLocalAddress(int fd, byte* address) =>
        SocketAddresses.Write(EndpointAddress.TryParseIP("192.0.2.1", 143)!, new Span<byte>(address, Libc.SockaddrBytes)) > 0 ? 0 : -1;

    public override int Receive(int fd, byte* buffer, int length) => Find(fd).Receive(new Span<byte>(buffer, length));

    public override int Send(int fd, byte* buffer, int length) => Find(fd).Send(new ReadOnlySpan<byte>(buffer, length));

    public override int ShutdownSend(int fd) => Find(fd).ShutdownSend();

    public override void Close(int fd)
    {
        ScriptedSocket socket = Find(fd);
        _open.Remove(fd);
        socket.Close();
    }

    public override int AddInterest(int epoll, int fd, uint events, ulong data)
    {
        if (AddInterestError != 0)
        {
            return -AddInterestError;
        }

        ScriptedSocket socket = Find(fd);
        if (socket.Watched)
        {
            return -Libc.EEXIST;
        }

        socket.Watch(events, data);
        return 0;
    }

    public override int ModifyInterest(int epoll, int fd, uint events, ulong data)
    {
        if (ModifyInterestError != 0)
        {
            return -ModifyInterestError;
        }

        ScriptedSocket socket = Find(fd);
        if (!socket.Watched)
        {
            return -Libc.ENOENT;
        }

        socket.Watch(events, data);
        return 0;
    }

    public override int RemoveInterest(int epoll, int fd)
    {
        Find(fd).Unwatch();
        return 0;
    }

    public override int Wait(int epoll, byte* events, int maxEvents, int timeoutMilliseconds)
    {
        LastTimeout = timeoutMilliseconds;
        LastEvents = 0;
        int limit = Math.Min(maxEvents, EventsPerWait);
        while (LastEvents < limit && _ready.TryDequeue(out ScriptedSocket? socket))
        {
            socket.Queued = false;
            uint bits = socket.Watched ? socket.Poll() : 0;
            if (bits != 0)
            {
                EpollEvents.Set(events + (LastEvents * EpollEvents.Size), bits, socket.Data);
                LastEvents++;
            }
        }

        return LastEvents;
    }

    internal void Enqueue(ScriptedSocket socket)
    {
        if (!socket.Queued)
        {
            socket.Queued = true;
            _ready.Enqueue(socket);
        }
    }

    private ScriptedSocket Find(int fd) => _open.TryGetValue(fd, out ScriptedSocket? socket)
        ? socket
        : throw new InvalidOperationException($"system call on descriptor {fd}, which is not open");
}
