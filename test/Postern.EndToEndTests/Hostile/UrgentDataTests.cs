using System.Net;
using System.Net.Sockets;
using Postern.EndToEndTests.Life;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>TCP's urgent data, which no mail protocol knows: the byte itself may get lost, all others arrive.</summary>
public sealed class UrgentDataTests
{
    public static TheoryData<MailProxy, string> Cases =>
        [.. from row in HostileSite.Proxies from protocol in HostileSite.Protocols select (row.Data, protocol)];

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task UrgentByteBetweenDataAndEnd_InTheRelay_AllOtherBytesArrive(MailProxy proxy, string protocol)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, proxy: proxy);
        byte[] before = new byte[5000];
        byte[] behind = new byte[3000];
        new Random(1).NextBytes(before);
        new Random(2).NextBytes(behind);
        var outcomes = new Outcomes();
        for (int i = 0; i < (proxy == MailProxy.Postern ? 20 : 1); i++)
        {
            int port = protocol switch { "imap" => service.Imap, "pop3" => service.Pop3, _ => service.Smtp };
            await using SteadyClient client = await SteadyClient.LogInAsync(protocol, port, tls: false, i);
            string outcome;
            try
            {
                byte[] echoed = await Deadline.WithinAsync(
                    stop => client.SayAllAsync([before, behind], stop), "all that was said to come back", proxy == MailProxy.Postern ? null : TimeSpan.FromSeconds(2));
                outcome = echoed.Length >= before.Length + behind.Length && echoed.AsSpan().StartsWith(before) && echoed.AsSpan().EndsWith(behind)
                    ? "all bytes arrive" : "bytes get lost";
            }
            catch (Exception e) when (e is IOException or TimeoutException)
            {
                outcome = e is IOException ? "reset" : "nothing more arrives, no end either";
            }

            outcomes.Add(outcome, $"{protocol} {i}");
        }

        if (proxy == MailProxy.Postern)
        {
            outcomes.AssertAre("all bytes arrive");
        }
        else
        {
            outcomes.AssertAreAmong("bytes get lost", "nothing more arrives, no end either", "reset");
        }
    }

    /// <summary>Before login: a command with an urgent byte in it is answered as if it were not there.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task UrgentByteInACommand_WithTheEndBehindIt_IsAnswered(MailProxy proxy)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, proxy: proxy);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, service.Imap), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(new NetworkStream(socket));
        _ = socket.Send("a NO"u8);
        _ = socket.Send("!"u8, SocketFlags.OutOfBand);
        _ = socket.Send("OP\r\nb NOOP\r\n"u8);
        socket.Shutdown(SocketShutdown.Send);
        string outcome;
        try
        {
            string text = await Deadline.WithinAsync(
                stop => reader.ReadToEndAsync(stop), "replies and the end", proxy == MailProxy.Postern ? null : TimeSpan.FromSeconds(2));
            outcome = text.Replace("\r", "", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            outcome = e is IOException ? "reset" : "waits";
        }

        // nginx stops reading at the mark: it waits for its timeout, closes with bytes unread, or happens to get all at once.
        const string Answered = "* OK IMAP4 ready\na OK completed\nb OK completed\n";
        string[] expected = proxy == MailProxy.Nginx ? ["reset", "waits", Answered] : [Answered];
        Assert.Contains(outcome, expected);
    }
}
