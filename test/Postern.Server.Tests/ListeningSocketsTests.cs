using System.Net;
using System.Net.Sockets;
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
