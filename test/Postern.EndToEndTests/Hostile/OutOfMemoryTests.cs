using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Postern.EndToEndTests.Life;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>More clients than memory (RLIMIT_DATA): who is joined stays, and it is over when the others have gone.</summary>
public sealed class OutOfMemoryTests
{
    /// <summary>What the worker may take beyond what it has with some sessions, in bytes.</summary>
    private const long RoomBytes = 28L << 20;

    [Fact]
    public async Task MoreClientsThanMemory_JoinedSessionsStay_ServiceRecovers()
    {
        const int MaxFlood = 2000;
        const int SlowReaders = 20;
        const string Complaint = "not enough memory for new clients";
        await using EchoBackends backends = new();

        // The limit of another user's process is not ours to set everywhere.
        await using MailService service = await MailService.StartAsync(backends, "user root;");
        int worker = Assert.Single(MailService.WorkersOf(service.Master));
        List<SteadyClient> joined = [];
        for (int i = 0; i < 12; i++)
        {
            joined.Add(await service.LogInAsync(i));
            joined[i].Talk();
        }

        Limit(worker);
        List<Socket> flood = [];
        byte[] endless = new byte[1024 * 1024];
        for (int i = 0; i < SlowReaders; i++)
        {
            Socket slow = await ConnectAsync(service.Imap, flood);
            await Deadline.WithinAsync(stop => slow.SendAsync("a LOGIN user secret\r\n"u8.ToArray(), stop).AsTask(), "a login");
            await Deadline.WithinAsync(stop => ReadLinesAsync(slow, 2, stop), "the reply to a login");

            // Takes nothing of what comes back, until it is closed.
            _ = slow.SendAsync(endless);
        }

        byte[] record = new byte[5 + 16_384 - 1];
        new byte[] { 0x16, 3, 1, 0x40, 0, 1, 0, 0x7F, 0xFF, 3, 3 }.CopyTo(record, 0);
        while (!service.Log.Contains(Complaint, StringComparison.Ordinal))
        {
            Assert.True(flood.Count < MaxFlood, $"{flood.Count} clients were taken: {service.Log}");
            for (int i = 0; i < 20; i++)
            {
                _ = (await ConnectAsync(service.Imaps, flood)).Send(record);
            }
        }

        await ExchangedAsync(joined);
        flood.ForEach(socket => socket.Dispose());
        for (int i = 0; i < 4; i++)
        {
            await using SteadyClient late = await service.LogInAsync(i);
        }

        await ExchangedAsync(joined);
        foreach (SteadyClient client in joined)
        {
            await client.StopAsync();
            await client.DisposeAsync();
        }

        Assert.Equal(worker, Assert.Single(MailService.WorkersOf(service.Master)));
        Assert.DoesNotContain("[alert]", service.Log, StringComparison.Ordinal);
    }

    /// <summary>Each of them gets some blocks back.</summary>
    private static async Task ExchangedAsync(List<SteadyClient> joined)
    {
        foreach (SteadyClient client in joined)
        {
            int before = client.Blocks;
            await Deadline.UntilAsync(() => client.Blocks > before + 2 || !client.IsTalking, () => "nothing comes back", TimeSpan.FromSeconds(30));
            Assert.True(client.IsTalking, "a joined session was lost");
        }
    }

    private static async Task<Socket> ConnectAsync(int port, List<Socket> all)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        all.Add(socket);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), TestContext.Current.CancellationToken);
        return socket;
    }

    private static async Task<bool> ReadLinesAsync(Socket socket, int lines, CancellationToken stop)
    {
        byte[] one = new byte[1];
        while (lines > 0 && await socket.ReceiveAsync(one, stop) > 0)
        {
            lines -= one[0] == '\n' ? 1 : 0;
        }

        return lines == 0;
    }

    private static void Limit(int process)
    {
        const int RlimitData = 2;
        string data = File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("VmData:", StringComparison.Ordinal));
        long kilobytes = long.Parse(data.AsSpan("VmData:".Length, data.Length - "VmData:".Length - " kB".Length), NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture);
        ulong[] softAndHard = [(ulong)((kilobytes * 1024) + RoomBytes), ulong.MaxValue];
        if (SetLimit(process, RlimitData, softAndHard, 0) != 0)
        {
            throw new InvalidOperationException($"prlimit() failed ({Marshal.GetLastPInvokeError()})");
        }
    }

    [DllImport("libc.so.6", EntryPoint = "prlimit", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetLimit(int process, int resource, ulong[] softAndHard, nint old);
}
