using System.Globalization;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Life;

/// <summary>What a reload keeps, with a master and without.</summary>
public sealed class ReloadTests
{
    private const string Alone = "daemon off; master_process off;";
    private const string Master = "daemon off;";

    [Theory]
    [InlineData(Alone)]
    [InlineData(Master)]
    public async Task Hup_ManyTimesWithSessionsHeld_MemoryAndDescriptorsStayFlat(string main)
    {
        const int WarmUp = 20;
        const int Rounds = 80;
        const long AllowedKilobytes = 768;
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main);
        List<SteadyClient> held = [];
        for (int i = 0; i < 8; i++)
        {
            held.Add(await service.LogInAsync(i));
        }

        await service.ReloadAsync(0, WarmUp);
        int process = MailService.WorkersOf(service.Master) is [int worker] ? worker : service.Master;
        int[] processes = [.. new[] { service.Master, process }.Distinct()];
        (long Memory, int Descriptors)[] before = [.. processes.Select(Measure)];
        await service.ReloadAsync(WarmUp, Rounds);
        (long Memory, int Descriptors)[] after = [.. processes.Select(Measure)];

        for (int i = 0; i < processes.Length; i++)
        {
            // A generation with its certificates takes some 30 kB: kept, they would be 2400.
            Assert.InRange(after[i].Memory - before[i].Memory, long.MinValue, AllowedKilobytes);
            Assert.InRange(after[i].Descriptors - before[i].Descriptors, int.MinValue, 8);
        }

        foreach (SteadyClient client in held)
        {
            await client.ExchangeAsync(TestContext.Current.CancellationToken);
            await client.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(Alone)]
    [InlineData(Master)]
    public async Task Hup_ListenersComeAndGo_SessionsOfAVanishedOneGoOn(string main)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main);
        int extra = LoopbackPorts.Next();
        string socket = service.Folder.File("imap.sock");

        service.Configure($"server {{ listen 127.0.0.1:{extra}; listen unix:{socket}; protocol imap; }}");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => LoopbackPorts.IsListening(extra), () => service.Log);
        await using SteadyClient held = await SteadyClient.LogInAsync("imap", extra, tls: false, 7);
        Assert.True(File.Exists(socket));

        service.Configure();
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => !LoopbackPorts.IsListening(extra), () => service.Log);
        await Deadline.UntilAsync(() => !File.Exists(socket), () => "the unix socket's file is still there");

        await held.ExchangeAsync(TestContext.Current.CancellationToken);
        await using SteadyClient kept = await service.LogInAsync();
        await kept.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>A reload that waits for a port that is taken is ended with the service.</summary>
    [Theory]
    [InlineData(Alone)]
    [InlineData(Master)]
    public async Task Term_InTheMidstOfAReload_FileOfANewUnixSocketIsNotLeft(string main)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main);
        string socket = service.Folder.File("imap.sock");
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        int port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;

        service.Configure($"server {{ listen unix:{socket}; listen 127.0.0.1:{port}; protocol imap; }}");
        int master = service.Remember();
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => File.Exists(socket), () => service.Log);
        service.Signal(MailService.Term);
        await Deadline.UntilAsync(() => !MailService.IsRunning(master), () => service.Log);

        Assert.False(File.Exists(socket), service.Log);
    }

    [Theory]
    [InlineData(Alone)]
    [InlineData(Master)]
    public async Task Hup_PidFileElsewhere_Moves(string main)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main);
        int master = service.Master;
        string other = service.Folder.File("other.pid");
        string path = service.Folder.File("postern.conf");
        string text = await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);

        await File.WriteAllTextAsync(path, text.Replace(service.PidFile, other, StringComparison.Ordinal), TestContext.Current.CancellationToken);
        service.Signal(MailService.Hup);

        await Deadline.UntilAsync(
            () => File.Exists(other) && !File.Exists(service.PidFile) && File.ReadAllText(other) == string.Create(CultureInfo.InvariantCulture, $"{master}\n"),
            () => service.Log);
    }

    [Theory]
    [InlineData(Alone)]
    [InlineData(Master)]
    public async Task Hup_AnotherLockFile_IsSaidAndIgnored(string main)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main);

        service.Configure(main: "lock_file /nonexistent/lock;");
        service.Signal(MailService.Hup);
        await service.LoggedAsync("[emerg] ");
        await service.LoggedAsync("\"lock_file\" could not be changed, ignored");
        service.Signal(MailService.Hup);
        await service.LoggedAsync("\"lock_file\" could not be changed, ignored", 2);

        await using SteadyClient client = await service.LogInAsync();
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Memory of its own, in kilobytes, and open descriptors.</summary>
    private static (long Memory, int Descriptors) Measure(int process)
    {
        const string Field = "RssAnon:";
        string line = File.ReadLines($"/proc/{process}/status").Single(text => text.StartsWith(Field, StringComparison.Ordinal));
        return (
            long.Parse(line[Field.Length..].Replace("kB", "", StringComparison.Ordinal), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture),
            Directory.GetFileSystemEntries($"/proc/{process}/fd").Length);
    }
}
