using System.Net;
using System.Net.Sockets;
using Postern.EndToEndTests.Life;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>TCP's urgent data, which no mail protocol knows: the byte itself may get lost, all others arrive.</summary>
public sealed class UrgentDataTests
{
    [Theory]
    [InlineData("imap")]
    [InlineData("pop3")]
    [InlineData("smtp")]
    public async Task UrgentByteBetweenDataAndEnd_InTheRelay_AllOtherBytesArrive(string protocol)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        byte[] before = new byte[5000];
        byte[] behind = new byte[3000];
        new Random(1).NextBytes(before);
        new Random(2).NextBytes(behind);
        for (int i = 0; i < 20; i++)
        {
            int port = protocol switch { "imap" => service.Imap, "pop3" => service.Pop3, _ => service.Smtp };
            await using SteadyClient client = await SteadyClient.LogInAsync(protocol, port, tls: false, i);
            byte[] echoed = await Deadline.WithinAsync(stop => client.SayAllAsync([before, behind], stop), "all that was said to come back");
            Assert.Equal(before, echoed[..before.Length]);
            Assert.Equal(behind, echoed[^behind.Length..]);
        }
    }

    /// <summary>Before login: a command with an urgent byte in it is answered as if it were not there.</summary>
    [Fact]
    public async Task UrgentByteInACommand_WithTheEndBehindIt_IsAnswered()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, service.Imap), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(new NetworkStream(socket));
        _ = socket.Send("a NO"u8);
        _ = socket.Send("!"u8, SocketFlags.OutOfBand);
        _ = socket.Send("OP\r\nb NOOP\r\n"u8);
        socket.Shutdown(SocketShutdown.Send);
        Assert.Equal("* OK IMAP4 ready\na OK completed\nb OK completed\n", (await reader.ReadToEndAsync(TestContext.Current.CancellationToken)).Replace("\r", "", StringComparison.Ordinal));
    }
}
