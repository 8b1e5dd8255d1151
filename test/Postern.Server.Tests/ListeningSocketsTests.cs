using System.Net;
using System.Net.Sockets;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Server.Running;
using Xunit;

namespace Postern.Server.Tests;

/// <summary>The process's listening sockets, on the real kernel.</summary>
public sealed class ListeningSocketsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void TryOpen_OwnSocketBesideAWildcard_BothListen(int loops)
    {
        int port = FreePort();
        IReadOnlyList<ListenPlan> plans = ListenPlan.Build(
        [
            Entry([0, 0, 0, 0], port, ownSocket: false),
            Entry([127, 0, 0, 2], port, ownSocket: true),
        ]);
        using ListeningSockets sockets = new();

        Assert.True(sockets.TryOpen(plans, loops, (_, message) => Assert.Fail(message), out List<ListeningSocket> opened));

        Assert.Equal(2, opened.Count);
        Connect("127.0.0.1", port);
        Connect("127.0.0.2", port);
    }

    [Fact]
    public void TryOpen_AnotherProgramHasThePort_ReportsEachAttemptAndGivesUp()
    {
        using TcpListener other = new(IPAddress.Loopback, 0);
        other.Start();
        int port = ((IPEndPoint)other.LocalEndpoint).Port;
        using ListeningSockets sockets = new();
        List<string> reports = [];

        Assert.False(sockets.TryOpen(
            ListenPlan.Build([Entry([127, 0, 0, 1], port, ownSocket: false)]), 2, (_, message) => reports.Add(message), out _));

        Assert.Equal(5, reports.Count(report => report == $"bind() to 127.0.0.1:{port} failed (98: Address already in use)"));
        Assert.Equal(4, reports.Count(report => report == "try again to bind() after 500ms"));
        Assert.Equal("still could not bind()", reports[^1]);
        Assert.Empty(sockets.All);
    }

    /// <summary>As a reload in one process does: the sockets stay, their settings are the new ones or the log says why not.</summary>
    [Fact]
    public void Configure_SocketsThatStay_TakeTheNewPlansAndWarnOfWhatIsFixedByBind()
    {
        int port = FreePort();
        var any = EndpointAddress.FromIP(new byte[16], port);
        using ListeningSockets sockets = new();
        List<(LogLevel, string)> reports = [];
        OpenAndConfigure(new ListenSettings { Address = any });
        Assert.Empty(reports);
        ListeningSocket socket = Assert.Single(sockets.All);
        Assert.True(socket.IsIpv6Only);

        ListenSettings given = new() { Address = any, Ipv6Only = false, KeepAlive = true, KeepAliveCount = 200 };
        OpenAndConfigure(given);

        Assert.Same(socket, Assert.Single(sockets.All));
        Assert.Same(given, socket.Plan.Socket.Settings);
        Assert.Equal(
            [
                (LogLevel.Alert, $"setsockopt(TCP_KEEPCNT, 200) [::]:{port} failed, ignored (22: Invalid argument)"),
                (LogLevel.Warn, $"\"ipv6only=off\" of [::]:{port} is ignored: the socket was opened with the other value, a restart is needed"),
            ],
            reports);

        void OpenAndConfigure(ListenSettings settings)
        {
            IReadOnlyList<ListenPlan> plans = ListenPlan.Build([new ListenEntry(settings, new NobodyAtHome())]);
            Assert.True(sockets.TryOpen(plans, 1, (_, message) => Assert.Fail(message), out _));
            sockets.Configure(plans, (level, message) => reports.Add((level, message)));
        }
    }

    private static ListenEntry Entry(byte[] address, int port, bool ownSocket) =>
        new(new ListenSettings { Address = EndpointAddress.FromIP(address, port), OwnSocket = ownSocket }, new NobodyAtHome());

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Any, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void Connect(string address, int port)
    {
        using TcpClient client = new();
        client.Connect(address, port);
        Assert.True(client.Connected);
    }

    private sealed class NobodyAtHome : IClientHandler
    {
        public void OnClient(Connection client, EndpointAddress peer, ListenSettings listen) => client.Close();

        public void OnNoPlace(int workerConnections)
        {
        }
    }
}
