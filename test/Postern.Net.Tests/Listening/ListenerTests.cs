using System.Runtime.Versioning;
using System.Text;
using Postern.Interop;
using Postern.Logging;
using Postern.Net.Listening;
using Postern.TestKit;
using Xunit;

namespace Postern.Net.Tests.Listening;

/// <summary>Not beside other tests: one of these leaves the process without descriptors for a moment.</summary>
[CollectionDefinition(nameof(RealSockets), DisableParallelization = true)]
public sealed class RealSockets;

/// <summary>Listening sockets and listeners on the real kernel's loopback.</summary>
[Collection(nameof(RealSockets))]
public sealed unsafe class ListenerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ErrorLogSet _logs = new(TimeProvider.System, new LogFiles(), "test");
    private readonly ErrorLog _log;
    private readonly EventLoop _loop = new(LinuxSystemCalls.Instance, maxConnections: 2);
    private readonly Watchdog _watchdog = new();
    private readonly Clients _clients = new();

    public ListenerTests()
    {
        ErrorLogSettings target = new() { Kind = ErrorLogTargetKind.File, Path = _folder.File("log"), Level = LogLevel.Debug };
        Assert.True(_logs.TryOpen([target], out ErrorLog? log, out _));
        _log = log;
        _loop.Timers.Arm(_watchdog, _loop.Now, 20_000);
    }

    public void Dispose()
    {
        _clients.CloseAll();
        _loop.Dispose();
        _logs.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Open_SeveralLoops_OneDescriptorEachOnTheSameAddress()
    {
        using ListeningSocket socket = ListeningSocket.Open(Plan(LoopbackPorts.Next()), loops: 3);
        int[] descriptors = [socket.Descriptors[0], socket.Descriptors[1], socket.Descriptors[2]];
        Assert.Equal(3, descriptors.Distinct().Count());
        Assert.Single(descriptors.Select(LocalAddress).Distinct());
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(1, 2)]
    [InlineData(2, 1)]
    public void Open_AddressInUse_IsDetectedAlthoughLoopsShareThePort(int firstLoops, int secondLoops)
    {
        int port = LoopbackPorts.Next();
        using ListeningSocket first = ListeningSocket.Open(Plan(port), firstLoops);
        SystemCallException fault = Assert.Throws<SystemCallException>(() => ListeningSocket.Open(Plan(port), secondLoops));
        Assert.True(fault.IsAddressInUse);
        Assert.Equal($"bind() to 127.0.0.1:{port} failed (98: Address already in use)", fault.Message);
    }

    [Fact]
    public void Adopt_FewerThanLoops_BindsTheRestAndMoreThanLoopsAreShared()
    {
        ListenPlan plan = Plan(LoopbackPorts.Next());
        ListeningSocket one = ListeningSocket.Open(plan, loops: 1);
        Assert.Equal(plan.Socket.Settings.Address, ListeningSocket.AddressOf(one.Descriptors[0]));

        using ListeningSocket three = ListeningSocket.Adopt(plan, one.Descriptors, loops: 3);

        Assert.Equal(3, three.Descriptors.Count);
        Assert.All(three.Descriptors, descriptor => Assert.Equal(plan.Socket.Settings.Address, ListeningSocket.AddressOf(descriptor)));
        Assert.Equal(one.Descriptors[0], three.Descriptors[0]);
        Assert.Equal([three.Descriptors[0], three.Descriptors[2]], three.DescriptorsFor(0, 2));
        Assert.Equal([three.Descriptors[1]], three.DescriptorsFor(1, 2));
    }

    /// <summary>What a reload does with a socket that stays: as nginx, what the configuration gives is put on, what it no longer gives stays.</summary>
    [Fact]
    public void Configure_OpenSocket_TakesWhatIsGivenAndKeepsTheRest()
    {
        EndpointAddress address = EndpointAddress.TryParseIP("127.0.0.1", LoopbackPorts.Next())!;
        using ListeningSocket socket = ListeningSocket.Open(PlanOf(new ListenSettings { Address = address }), loops: 2);
        Assert.All(socket.Descriptors, descriptor => Assert.Equal((0, 511), (KeepAlive(descriptor), Backlog(descriptor))));

        ListenPlan given = PlanOf(new ListenSettings
        {
            Address = address,
            Backlog = 7,
            KeepAlive = true,
            KeepAliveIdleSeconds = 31,
            KeepAliveIntervalSeconds = 11,
            KeepAliveCount = 3,
            ReceiveBufferBytes = 8192,
            SendBufferBytes = 16384,
        });
        Assert.Empty(socket.Configure(given));
        Assert.Same(given, socket.Plan);
        Assert.All(socket.Descriptors, descriptor =>
        {
            Assert.Equal((1, 7), (KeepAlive(descriptor), Backlog(descriptor)));
            Assert.Equal((31, 11, 3), KeepAliveTimes(descriptor));
            Assert.Equal((2 * 8192, 2 * 16384), Buffers(descriptor)); // the kernel doubles them, socket(7)
        });

        Assert.Empty(socket.Configure(PlanOf(new ListenSettings { Address = address, KeepAlive = false })));
        Assert.All(socket.Descriptors, descriptor =>
        {
            Assert.Equal((0, 511), (KeepAlive(descriptor), Backlog(descriptor)));
            Assert.Equal((31, 11, 3), KeepAliveTimes(descriptor));
            Assert.Equal((2 * 8192, 2 * 16384), Buffers(descriptor));
        });
    }

    /// <summary>The first client has them, too: they are there before the socket listens.</summary>
    [Fact]
    public void Open_KeepAliveAndBuffersGiven_AreOnTheSocket()
    {
        EndpointAddress address = EndpointAddress.TryParseIP("127.0.0.1", LoopbackPorts.Next())!;
        using ListeningSocket socket = ListeningSocket.Open(
            PlanOf(new ListenSettings { Address = address, KeepAlive = true, KeepAliveIdleSeconds = 31, ReceiveBufferBytes = 8192, SendBufferBytes = 16384 }), loops: 1);
        Assert.Equal(1, KeepAlive(socket.Descriptors[0]));
        Assert.Equal(31, KeepAliveTimes(socket.Descriptors[0]).Idle);
        Assert.Equal((2 * 8192, 2 * 16384), Buffers(socket.Descriptors[0]));
    }

    /// <summary>As with nginx 1.22.1 and 1.30.6: more than the kernel takes is said and left out, the socket serves.</summary>
    [Fact]
    public void Configure_TimesTheKernelRefuses_SaysSoOnceEach()
    {
        EndpointAddress address = EndpointAddress.TryParseIP("127.0.0.1", LoopbackPorts.Next())!;
        ListenPlan plan = PlanOf(new ListenSettings
        {
            Address = address,
            KeepAlive = true,
            KeepAliveIdleSeconds = 36000,
            KeepAliveIntervalSeconds = 36000,
            KeepAliveCount = 200,
        });
        using ListeningSocket socket = ListeningSocket.Open(plan, loops: 2);
        Assert.Equal(
            [
                $"setsockopt(TCP_KEEPIDLE, 36000) {address} failed, ignored (22: Invalid argument)",
                $"setsockopt(TCP_KEEPINTVL, 36000) {address} failed, ignored (22: Invalid argument)",
                $"setsockopt(TCP_KEEPCNT, 200) {address} failed, ignored (22: Invalid argument)",
            ],
            socket.Configure(plan));
        Assert.All(socket.Descriptors, descriptor => Assert.Equal(1, KeepAlive(descriptor)));
    }

    /// <summary>A kernel without MPTCP gives a plain socket instead.</summary>
    [Fact]
    public void Open_Multipath_IsMptcpWhereTheKernelHasIt()
    {
        const string Switch = "/proc/sys/net/mptcp/enabled";
        bool kernelHasIt = File.Exists(Switch) && File.ReadAllText(Switch).Trim() == "1";
        EndpointAddress address = EndpointAddress.TryParseIP("127.0.0.1", LoopbackPorts.Next())!;
        ListenPlan plan = PlanOf(new ListenSettings { Address = address, Multipath = true });
        using (ListeningSocket shared = ListeningSocket.Open(plan, loops: 2))
        {
            Assert.Equal(kernelHasIt, shared.IsMultipath);
            Assert.Equal(2, shared.Descriptors.Count);
        }

        // Of one loop: with two the kernel may give the client to the other's socket.
        using ListeningSocket socket = ListeningSocket.Open(plan, loops: 1);
        using Listening listening = Listen(socket);
        int far = Connect(address);
        RunUntil(() => _clients.All.Count == 1);
        LinuxSystemCalls.Instance.Close(far);
    }

    [Fact]
    public void AddressOf_NoListeningSocket_IsNull()
    {
        Assert.Null(ListeningSocket.AddressOf(-1));
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public void Open_UnixSocket_ForEveryoneAndRemovedAtTheEnd()
    {
        string path = _folder.File("mail.sock");
        using (ListeningSocket socket = ListeningSocket.Open(Assert.Single(ListenPlan.Build([ListenPlanTests.Unix(path, _clients)])), loops: 2))
        {
            Assert.Equal(socket.DescriptorsFor(0, 2), socket.DescriptorsFor(1, 2));
            Assert.Equal(0x1B6, (int)File.GetUnixFileMode(path));
            using Listening listening = Listen(socket);
            int far = Connect(EndpointAddress.FromUnixPath(path));
            RunUntil(() => _clients.All.Count == 1);
            Assert.Equal("unix:", _clients.Peers[0].ToAddressText());
            LinuxSystemCalls.Instance.Close(far);
        }

        Assert.False(File.Exists(path));
    }

    [Fact]
    public void OnEvents_Clients_AcceptedWithPeerAndLocalAddress()
    {
        using ListeningSocket socket = ListeningSocket.Open(Plan(LoopbackPorts.Next()), loops: 1);
        using Listening listening = Listen(socket);
        int far = Connect(LocalAddress(socket.Descriptors[0]));
        RunUntil(() => _clients.All.Count == 1);
        Assert.Equal(LocalAddress(far), _clients.Peers[0]);
        Assert.Equal(LocalAddress(socket.Descriptors[0]), _clients.All[0].GetLocalAddress());
        Assert.Equal(1, _loop.Connections);
        LinuxSystemCalls.Instance.Close(far);
    }

    [Fact]
    public void OnEvents_NoPlaceLeft_ClientIsClosedAndHandlerTold()
    {
        using ListeningSocket socket = ListeningSocket.Open(Plan(LoopbackPorts.Next()), loops: 1);
        using Listening listening = Listen(socket);
        int[] far = [.. Enumerable.Range(0, 3).Select(_ => Connect(LocalAddress(socket.Descriptors[0])))];
        RunUntil(() => _clients.NoPlace == 1);
        Assert.Equal(2, _clients.All.Count);
        Assert.Equal(2, _loop.Connections);
        Array.ForEach(far, LinuxSystemCalls.Instance.Close);
    }

    [Fact]
    public void OnEvents_HandlerThrows_LoopGoesOnWithTheNextClient()
    {
        using ListeningSocket socket = ListeningSocket.Open(Plan(LoopbackPorts.Next()), loops: 1);
        using Listening listening = Listen(socket);
        _clients.Fault = new InvalidOperationException("broken");
        int first = Connect(LocalAddress(socket.Descriptors[0]));
        RunUntil(() => _clients.Fault is null);
        Assert.Equal(0, _loop.Connections);
        int second = Connect(LocalAddress(socket.Descriptors[0]));
        RunUntil(() => _clients.All.Count == 1);
        Assert.Contains("[alert]", Log(), StringComparison.Ordinal);
        Assert.Contains("client could not be taken: broken", Log(), StringComparison.Ordinal);
        LinuxSystemCalls.Instance.Close(first);
        LinuxSystemCalls.Instance.Close(second);
    }

    [Fact]
    public void OnEvents_OutOfDescriptors_PausesComplainsOnceAndRecovers()
    {
        using ListeningSocket socket = ListeningSocket.Open(Plan(LoopbackPorts.Next()), loops: 1);
        using Listening listening = Listen(socket);
        int far = Connect(LocalAddress(socket.Descriptors[0]));
        ulong* limits = stackalloc ulong[2];
        Assert.Equal(0, Libc.getrlimit(Libc.RLIMIT_NOFILE, limits));
        ulong before = limits[0];
        limits[0] = 3;
        Assert.Equal(0, Libc.setrlimit(Libc.RLIMIT_NOFILE, limits));
        try
        {
            _loop.RunOnce();
        }
        finally
        {
            limits[0] = before;
            _ = Libc.setrlimit(Libc.RLIMIT_NOFILE, limits);
        }

        Assert.Empty(_clients.All);
        Assert.Equal(0, _loop.Connections);
        RunUntil(() => _clients.All.Count == 1);
        Assert.Equal(1, Log().Split("[crit]").Length - 1);
        Assert.Contains("accept4() failed (24: Too many open files)", Log(), StringComparison.Ordinal);
        LinuxSystemCalls.Instance.Close(far);
    }

    private static EndpointAddress LocalAddress(int descriptor)
    {
        byte* address = stackalloc byte[Libc.SockaddrBytes];
        Assert.Equal(0, LinuxSystemCalls.Instance.GetLocalAddress(descriptor, address));
        return SocketAddresses.Read(new ReadOnlySpan<byte>(address, Libc.SockaddrBytes));
    }

    private static int Option(int descriptor, int level, int name)
    {
        int value = 0;
        uint size = sizeof(int);
        Assert.Equal(0, Libc.getsockopt(descriptor, level, name, &value, &size));
        return value;
    }

    private static int KeepAlive(int descriptor) => Option(descriptor, Libc.SOL_SOCKET, Libc.SO_KEEPALIVE);

    private static (int Idle, int Interval, int Count) KeepAliveTimes(int descriptor) =>
        (Option(descriptor, Libc.IPPROTO_TCP, Libc.TCP_KEEPIDLE), Option(descriptor, Libc.IPPROTO_TCP, Libc.TCP_KEEPINTVL), Option(descriptor, Libc.IPPROTO_TCP, Libc.TCP_KEEPCNT));

    private static (int Receive, int Send) Buffers(int descriptor) =>
        (Option(descriptor, Libc.SOL_SOCKET, Libc.SO_RCVBUF), Option(descriptor, Libc.SOL_SOCKET, Libc.SO_SNDBUF));

    /// <summary>Length of the accept queue: <c>tcpi_sacked</c> of TCP_INFO, as ss shows it (8 single bytes come first, then words).</summary>
    private static int Backlog(int descriptor)
    {
        const int TcpInfo = 11;
        const int Sacked = 2 + 5;
        int* info = stackalloc int[Sacked + 1];
        uint size = (Sacked + 1) * sizeof(int);
        Assert.Equal(0, Libc.getsockopt(descriptor, Libc.IPPROTO_TCP, TcpInfo, info, &size));
        return info[Sacked];
    }

    private static int Connect(EndpointAddress address)
    {
        int descriptor = LinuxSystemCalls.Instance.Connect(address, out _);
        Assert.True(descriptor >= 0);
        return descriptor;
    }

    private ListenPlan Plan(int port) => Assert.Single(ListenPlan.Build([ListenPlanTests.Entry("127.0.0.1", port, handler: _clients)]));

    private ListenPlan PlanOf(ListenSettings settings) => Assert.Single(ListenPlan.Build([new ListenEntry(settings, _clients)]));

    private Listening Listen(ListeningSocket socket) => new(Listener.Start(_loop, socket.Plan, socket.Descriptors[0], _log));

    private void RunUntil(Func<bool> condition)
    {
        while (!condition())
        {
            _loop.RunOnce();
            Assert.False(_watchdog.Expired, "nothing happened");
        }
    }

    private string Log() => Encoding.Latin1.GetString(File.ReadAllBytes(_folder.File("log")));

    private sealed class Listening(Listener listener) : IDisposable
    {
        public void Dispose() => listener.Stop();
    }

    private sealed class Watchdog : LoopTimer
    {
        public bool Expired { get; private set; }

        protected internal override void OnExpired() => Expired = true;
    }

    private sealed class Clients : IClientHandler
    {
        public List<Connection> All { get; } = [];

        public List<EndpointAddress> Peers { get; } = [];

        public int NoPlace { get; private set; }

        public Exception? Fault { get; set; }

        public void OnClient(Connection client, EndpointAddress peer, ListenSettings listen)
        {
            if (Fault is { } fault)
            {
                Fault = null;
                throw fault;
            }

            All.Add(client);
            Peers.Add(peer);
        }

        public void OnNoPlace(int workerConnections) => NoPlace++;

        public void CloseAll() => All.ForEach(client => client.Close());
    }
}
