using System.Net;
using System.Net.Sockets;
using Postern.EndToEndTests.Life;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>TCP's urgent data, which no mail protocol knows: the byte itself may get lost, all others arrive.</summary>
public sealed class UrgentDataTests
{
    private static readonly byte[] _before = RandomBytes(1, 5000);
    private static readonly byte[] _behind = RandomBytes(2, 3000);

    public static TheoryData<MailProxy, string> Cases =>
        [.. from row in HostileSite.Proxies from protocol in HostileSite.Protocols select (row.Data, protocol)];

    /// <summary>As it comes, in many ways of meeting the reader.</summary>
    [Theory]
    [InlineData("imap")]
    [InlineData("pop3")]
    [InlineData("smtp")]
    public async Task UrgentByteBetweenDataAndEnd_InTheRelay_AllOtherBytesArrive(string protocol)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        for (int i = 0; i < 20; i++)
        {
            await using SteadyClient client = await SteadyClient.LogInAsync(protocol, PortOf(service, protocol), tls: false, i);
            byte[] echoed = await Deadline.WithinAsync(
                async stop =>
                {
                    await client.SayWithUrgentByteAsync([_before, _behind], stop);
                    return await client.HearToTheEndAsync(stop);
                },
                "all that was said to come back");
            Assert.Equal([.. _before, .. _behind], echoed);
        }
    }

    /// <summary>All of it waits for the reader at once: the workers are stopped while it is sent.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task UrgentByteInDataThatCameAtOnce_InTheRelay_AllOtherBytesArrive(MailProxy proxy, string protocol)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, proxy: proxy);
        await using SteadyClient client = await SteadyClient.LogInAsync(protocol, PortOf(service, protocol), tls: false, 1);
        await WhileItStandsStillAsync(service, stop => client.SayWithUrgentByteAsync([_before, _behind], stop));
        byte[] first = await Deadline.WithinAsync(stop => client.HearAsync(_before.Length, stop), "the bytes before the urgent one");
        Assert.Equal(_before, first);
        Task<byte[]> rest = Deadline.WithinAsync(
            stop => client.HearAsync(_behind.Length, stop), "the bytes behind the urgent one", proxy == MailProxy.Postern ? null : TimeSpan.FromSeconds(2));
        if (proxy == MailProxy.Postern)
        {
            Assert.Equal(_behind, await rest);
        }
        else
        {
            // nginx takes the read that ended at the mark for all there is.
            _ = await Assert.ThrowsAsync<TimeoutException>(() => rest);
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
        Assert.StartsWith("* OK", await Deadline.WithinAsync(async stop => await reader.ReadLineAsync(stop), "the greeting"), StringComparison.Ordinal);
        await WhileItStandsStillAsync(service, async stop =>
        {
            _ = await socket.SendAsync("a NO"u8.ToArray(), stop);
            _ = socket.Send("!"u8, SocketFlags.OutOfBand);
            _ = await socket.SendAsync("OP\r\nb NOOP\r\n"u8.ToArray(), stop);
            socket.Shutdown(SocketShutdown.Send);
        });
        Task<string> replies = Deadline.WithinAsync(
            stop => reader.ReadToEndAsync(stop), "replies and the end", proxy == MailProxy.Postern ? null : TimeSpan.FromSeconds(2));
        if (proxy == MailProxy.Postern)
        {
            Assert.Equal("a OK completed\r\nb OK completed\r\n", await replies);
        }
        else
        {
            // nginx reads up to the mark and waits for more, which has long come.
            _ = await Assert.ThrowsAsync<TimeoutException>(() => replies);
        }
    }

    /// <summary>Stops the workers, so that all that is done meanwhile meets them at once.</summary>
    private static async Task WhileItStandsStillAsync(MailService service, Func<CancellationToken, Task> action)
    {
        IReadOnlyList<int> workers = MailService.WorkersOf(service.Master);
        Assert.NotEmpty(workers);
        foreach (int worker in workers)
        {
            MailService.Signal(worker, MailService.Stop);
        }

        // The signal is taken when a thread leaves the kernel.
        await Deadline.UntilAsync(() => workers.All(MailService.IsStopped), () => "workers do not stop");
        await Deadline.WithinAsync(
            async stop =>
            {
                await action(stop);
                return true;
            },
            "the kernel to take all");
        foreach (int worker in workers)
        {
            MailService.Signal(worker, MailService.Continue);
        }
    }

    private static int PortOf(MailService service, string protocol) => protocol switch
    {
        "imap" => service.Imap,
        "pop3" => service.Pop3,
        _ => service.Smtp,
    };

    private static byte[] RandomBytes(int seed, int count)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
