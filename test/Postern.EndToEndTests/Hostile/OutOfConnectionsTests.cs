using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.EndToEndTests.Life;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary><c>worker_connections</c> used up by some hundred clients (mail-proxy 1.6): those beyond are closed, the others never notice.</summary>
public sealed class OutOfConnectionsTests
{
    [Fact]
    public async Task MoreClientsThanPlaces_TheRestIsClosed_JoinedSessionsStay_ServiceRecovers()
    {
        const int Places = 100;
        const int Loops = 2;
        const int Flood = 500;
        const string Complaint = "100 worker_connections are not enough";
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, workerConnections: Places);
        List<SteadyClient> joined = [];
        for (int i = 0; i < 8; i++)
        {
            joined.Add(await service.LogInAsync(i));
            joined[i].Talk();
        }

        long start = Stopwatch.GetTimestamp();
        List<Socket> greeted = [];
        int closed = 0;
        for (int i = 0; i < Flood; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, service.Imap), TestContext.Current.CancellationToken);
            string reply = await ReadAsync(socket);
            if (reply.Length > 0)
            {
                Assert.StartsWith("* OK", reply, StringComparison.Ordinal);
                greeted.Add(socket);
                continue;
            }

            // Without a word, as nginx does.
            closed++;
            socket.Dispose();
        }

        Assert.InRange(closed, Flood - (Loops * Places), Flood);
        Assert.InRange(greeted.Count, Places, Loops * Places);
        await service.LoggedAsync(Complaint);

        // Whoever is in is heard; for a backend, or a question to the auth server, there is no place either.
        foreach (Socket socket in greeted.Take(20))
        {
            _ = socket.Send("a NOOP\r\n"u8);
            Assert.Equal("a OK completed\r\n", await ReadAsync(socket));
            _ = socket.Send("b LOGIN user secret\r\n"u8);
            Assert.Equal("* BAD internal server error\r\n", await ReadAsync(socket));
            socket.Dispose();

            // Its place is taken again, so that the next one finds none.
            await RefillAsync(service.Imap, greeted);
        }

        await ExchangedAsync(joined);
        greeted.ForEach(socket => socket.Dispose());
        for (int i = 0; i < 4; i++)
        {
            // The last of the flood may still be on their way out.
            SteadyClient? late = null;
            for (long begun = Stopwatch.GetTimestamp(); late is null && Stopwatch.GetElapsedTime(begun) < Deadline.Step;)
            {
                try
                {
                    late = await service.LogInAsync(i);
                }
                catch (Exception e) when (e is IOException or SocketException or InvalidDataException)
                {
                    Assert.True(MailService.IsRunning(service.Master), service.Log);
                }
            }

            Assert.NotNull(late);
            await Deadline.WithinAsync(
                async stop =>
                {
                    await late.ExchangeAsync(stop);
                    return true;
                },
                "a block of a new session to come back");
            await late.DisposeAsync();
        }

        // Clients turned away: once a second. For each of those that were in, one line for its own session.
        int complaints = service.Log.Split('\n').Count(line => line.Contains(Complaint, StringComparison.Ordinal) && !line.Contains(" while ", StringComparison.Ordinal));
        int allowed = (int)Stopwatch.GetElapsedTime(start).TotalSeconds + 2;
        Assert.InRange(complaints, 1, allowed);
        Assert.DoesNotContain("failed", service.Log, StringComparison.Ordinal);
        await ExchangedAsync(joined);
        foreach (SteadyClient client in joined)
        {
            await client.StopAsync();
            await client.DisposeAsync();
        }
    }

    /// <summary>Clients come until one is closed: all places of its loop are taken.</summary>
    private static async Task RefillAsync(int port, List<Socket> greeted)
    {
        const int InARow = 20;
        for (int refused = 0; refused < InARow;)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), TestContext.Current.CancellationToken);
            if ((await ReadAsync(socket)).Length == 0)
            {
                refused++;
                socket.Dispose();
                continue;
            }

            refused = 0;
            greeted.Add(socket);
        }
    }

    private static async Task ExchangedAsync(List<SteadyClient> joined)
    {
        foreach (SteadyClient client in joined)
        {
            int before = client.Blocks;
            await Deadline.UntilAsync(() => client.Blocks > before + 2 || !client.IsTalking, () => "nothing comes back", TimeSpan.FromSeconds(30));
            Assert.True(client.IsTalking, "a joined session was lost");
        }
    }

    /// <summary>What comes; empty if the connection is closed instead.</summary>
    private static async Task<string> ReadAsync(Socket socket)
    {
        byte[] buffer = new byte[256];
        try
        {
            int n = await Deadline.WithinAsync(stop => socket.ReceiveAsync(buffer, stop).AsTask(), "a reply");
            return Encoding.ASCII.GetString(buffer, 0, n);
        }
        catch (SocketException)
        {
            return "";
        }
    }
}
