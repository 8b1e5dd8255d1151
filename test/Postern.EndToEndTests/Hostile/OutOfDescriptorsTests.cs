using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Postern.EndToEndTests.Life;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>More clients than descriptors: who is joined stays, the log is not flooded, and it is over when they have gone.</summary>
public sealed class OutOfDescriptorsTests
{
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task MoreClientsThanDescriptors_JoinedSessionsStay_ServiceRecovers(MailProxy proxy)
    {
        const int Flood = 300;
        const string Complaint = "accept4() failed (24: Too many open files)";
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, "worker_rlimit_nofile 100;", proxy: proxy);
        List<SteadyClient> joined = [];
        for (int i = 0; i < 4; i++)
        {
            joined.Add(await service.LogInAsync(i));
        }

        long start = Stopwatch.GetTimestamp();
        List<Socket> flood = [];
        for (int i = 0; i < Flood; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            flood.Add(socket);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, service.Imap), TestContext.Current.CancellationToken);
        }

        await service.LoggedAsync(Complaint);
        foreach (SteadyClient client in joined)
        {
            await Deadline.WithinAsync(Exchange(client), "a block to come back");
        }

        flood.ForEach(socket => socket.Dispose());
        await using (SteadyClient late = await service.LogInAsync(0))
        {
            await Deadline.WithinAsync(Exchange(late), "a block of a new session to come back");
        }

        // Once a second for each of two loops, at most.
        int complaints = service.Log.Split(Complaint).Length - 1;
        int allowed = 2 * ((int)Stopwatch.GetElapsedTime(start).TotalSeconds + 2);
        Assert.True(complaints <= allowed, $"{complaints} lines, {allowed} are allowed");
        foreach (SteadyClient client in joined)
        {
            await Deadline.WithinAsync(Exchange(client), "a block to come back");
            await client.DisposeAsync();
        }
    }

    private static Func<CancellationToken, Task<bool>> Exchange(SteadyClient client) => async stop =>
    {
        await client.ExchangeAsync(stop);
        return true;
    };
}
