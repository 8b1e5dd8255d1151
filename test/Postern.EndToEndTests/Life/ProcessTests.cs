using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Life;

/// <summary>What mail-proxy 1.6 to 1.9 say is visible from outside of the process, and no other test here looks at.</summary>
public sealed class ProcessTests
{
    private const string KeepForeground = "daemon off;";

    /// <summary>The notices of a life, in order, as the reference has them (1.9).</summary>
    [Fact]
    public async Task Log_StartReloadReopenQuit_HasEachLineInOrder()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int master = service.Master;
        await using (await service.LogInAsync())
        {
        }

        int worker = Assert.Single(MailService.WorkersOf(master));
        (int reload, string said) = await service.RunAsync("-s", "reload");
        Assert.Equal((0, ""), (reload, said));
        await service.LoggedAsync("signal 17 (SIGCHLD)");
        Assert.Equal((0, ""), await service.RunAsync("-s", "reopen"));
        await service.LoggedAsync($" {worker}#{worker}: reopening logs\n");
        Assert.Equal((0, ""), await service.RunAsync("-s", "quit"));
        await Deadline.UntilAsync(() => !MailService.IsRunning(master), () => service.Log);

        const string Stamp = @"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d";
        string log = service.Log;
        int at = 0;
        foreach ((string process, string line) in ((string, string)[])
        [
            ("M", @"using the ""epoll"" event method"),
            ("M", "postern/.*"),
            ("M", "OS: Linux .*"),
            ("M", @"getrlimit\(RLIMIT_NOFILE\): \d+:\d+"),
            ("M", "start worker processes"),
            ("M", "start worker process W"),
            ("M", @"signal 1 \(SIGHUP\) received from \d+, reconfiguring"),
            ("M", "reconfiguring"),
            ("M", @"signal 10 \(SIGUSR1\) received from \d+, reopening logs"),
            ("M", "reopening logs"),
            ("W", "reopening logs"),
            ("M", @"signal 3 \(SIGQUIT\) received from \d+, shutting down"),
            ("W", "gracefully shutting down"),
            ("W", "exiting"),
            ("W", "exit"),
            ("M", @"signal 17 \(SIGCHLD\) received from W"),
            ("M", "worker process W exited with code 0"),
            ("M", "exit"),
        ])
        {
            string id = (process == "M" ? master : worker).ToString(CultureInfo.InvariantCulture);
            string pattern = line.Replace("W", worker.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
            Match match = new Regex($@"^{Stamp} \[notice\] {id}#{id}: {pattern}$", RegexOptions.Multiline).Match(log, at);
            Assert.True(match.Success, $"\"{line}\" is missing, or too early, in {log}");
            at = match.Index + match.Length;
        }
    }

    [Fact]
    public async Task Worker_LimitsOfTheConfiguration_AreInForce()
    {
        await using EchoBackends backends = new();
        using var folder = new TemporaryFolder();
        File.SetUnixFileMode(folder.Path, (UnixFileMode)0b111_101_101);
        await using MailService service = await MailService.StartAsync(
            backends,
            $"{KeepForeground} worker_priority 3; worker_rlimit_nofile 5000; worker_rlimit_core 1m; worker_cpu_affinity 01 10; working_directory {folder.Path};");
        await using SteadyClient client = await service.LogInAsync();
        int worker = Assert.Single(MailService.WorkersOf(service.Master));

        string limits = await File.ReadAllTextAsync($"/proc/{worker}/limits", TestContext.Current.CancellationToken);
        Assert.Matches(@"Max open files +5000 +5000 ", limits);
        Assert.Matches(@"Max core file size +1048576 +1048576 ", limits);
        Assert.Equal(folder.Path, new FileInfo($"/proc/{worker}/cwd").LinkTarget);

        // Each loop is a thread with a processor of its own.
        Dictionary<string, string> threads = Directory.GetDirectories($"/proc/{worker}/task")
            .Select(task => (Status: File.ReadAllText(task + "/status"), Stat: File.ReadAllText(task + "/stat")))
            .Where(thread => thread.Status.StartsWith("Name:\tloop ", StringComparison.Ordinal))
            .ToDictionary(
                thread => Regex.Match(thread.Status, @"Name:\t(.*)").Groups[1].Value,
                thread => Regex.Match(thread.Status, @"Cpus_allowed_list:\t(.*)").Groups[1].Value + " nice " + thread.Stat[(thread.Stat.LastIndexOf(')') + 2)..].Split(' ')[16]);
        Assert.Equal("0 nice 3", threads["loop 0"]);
        Assert.Equal("1 nice 3", threads["loop 1"]);
        Assert.Equal(2, threads.Count);
    }

    /// <summary>Starting runs through most of the code: once all is quiet neither process has half of it in memory.</summary>
    [Fact]
    public async Task QuietService_CodeThatOnlyTheStartNeeded_IsNotInMemory()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        string program = ProgramUnderTest.ExecutableOf(MailProxy.Postern);
        foreach (int process in (int[])[service.Master, .. MailService.WorkersOf(service.Master)])
        {
            await Deadline.UntilAsync(
                () => ProcessMemory.OfCode(process, program) is var (resident, size) && resident < size / 2,
                () => $"process {process} has {ProcessMemory.OfCode(process, program)} of its code in memory");
        }

        await using SteadyClient client = await service.LogInAsync();
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Workers that do not go are killed after about 1.5 seconds (1.9).</summary>
    [Fact]
    public async Task Term_WorkerStandsStill_IsKilled()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int master = service.Master;
        await using (await service.LogInAsync())
        {
        }

        int worker = Assert.Single(MailService.WorkersOf(master));
        MailService.Signal(worker, MailService.Stop);
        service.Signal(MailService.Term);

        await Deadline.UntilAsync(() => !MailService.IsRunning(master), () => service.Log);
        Assert.False(MailService.IsRunning(worker));
        Assert.Contains($"worker process {worker} exited on signal 9\n", service.Log, StringComparison.Ordinal);
        Assert.False(File.Exists(service.PidFile));
    }

    [Fact]
    public async Task Listen_UnixSocket_EverybodyMayConnectAndItIsRemovedAtTheEnd()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int master = service.Master;
        string path = service.Folder.File("imap.sock");
        service.Configure($"server {{ listen unix:{path}; protocol imap; }}");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => File.Exists(path), () => service.Log);

        // The file is there before the master knows of it, and before anybody listens; a greeting comes after.
        await Deadline.UntilAsync(() => IsGreeted(path), () => service.Log);

        Assert.Equal((UnixFileMode)0b110_110_110, File.GetUnixFileMode(path));
        service.Signal(MailService.Term);
        await Deadline.UntilAsync(() => !MailService.IsRunning(master), () => service.Log);
        Assert.False(File.Exists(path));
    }

    /// <summary>Parameter multipath: plain clients are relayed as ever; a socket that was opened without it stays as it is, and the log says so.</summary>
    [Fact]
    public async Task Listen_Multipath_ServesPlainClientsAndIsNotPutOnOpenSockets()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int port = LoopbackPorts.Next();
        service.Configure($"server {{ listen 127.0.0.1:{port} multipath; protocol imap; }}");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => LoopbackPorts.IsListening(port), () => service.Log);
        await using (SteadyClient client = await SteadyClient.LogInAsync("imap", port, tls: false, 1))
        {
            await client.ExchangeAsync(TestContext.Current.CancellationToken);
        }

        int plain = LoopbackPorts.Next();
        service.Configure($"server {{ listen 127.0.0.1:{plain}; protocol imap; }}");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => LoopbackPorts.IsListening(plain), () => service.Log);
        service.Configure($"server {{ listen 127.0.0.1:{plain} multipath; protocol imap; }}");
        service.Signal(MailService.Hup);
        await service.LoggedAsync($"[warn] {service.Master}#{service.Master}: \"multipath\" of 127.0.0.1:{plain} is ignored");
    }

    /// <summary>
    /// Parameter so_keepalive on a socket that stays open: clients accepted after the reload have it. What the kernel refuses is an
    /// alert, which a start tells the caller, too, and clients are served.
    /// </summary>
    [Theory]
    [InlineData("", MailProxy.Postern)]
    [InlineData("daemon off; master_process off;", MailProxy.Postern)]
    [InlineData("", MailProxy.Nginx)]
    public async Task Listen_KeepAlive_IsPutOnOpenSocketsByReloads(string main, MailProxy proxy)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main, proxy: proxy);
        int master = service.Master;
        int port = LoopbackPorts.Next();
        service.Configure($"server {{ listen 127.0.0.1:{port}; protocol imap; }}");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => LoopbackPorts.IsListening(port), () => service.Log);
        Assert.False(HasKeepAlive(port));

        string refused = $"setsockopt(TCP_KEEPIDLE, 36000) 127.0.0.1:{port} failed, ignored (22: Invalid argument)\n";
        service.Configure($"server {{ listen 127.0.0.1:{port} so_keepalive=10h::5; protocol imap; }}");
        service.Signal(MailService.Hup);
        await service.LoggedAsync($"[alert] {master}#{master}: {refused}");
        Assert.True(HasKeepAlive(port));
        if (main.Length > 0)
        {
            return;
        }

        service.Signal(MailService.Term);
        await Deadline.UntilAsync(() => !MailService.IsRunning(master), () => service.Log);
        (int code, string output) = await service.RunAsync();
        _ = service.Remember();
        Assert.Equal(0, code);
        Assert.Contains($": [alert] {refused}", output, StringComparison.Ordinal);
        Assert.True(HasKeepAlive(port));
    }

    /// <summary>Directive user: the worker, which is that user when it reads the configuration, does not find that the directive makes no sense.</summary>
    [Fact]
    public async Task Start_WithUser_SaysNothing()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, "user nobody nogroup;");
        await using (await service.LogInAsync())
        {
        }

        Assert.DoesNotContain("[warn]", service.Log, StringComparison.Ordinal);
        (int code, string output) = await service.RunAsync("-s", "quit");
        Assert.Equal((0, ""), (code, output));
        await Deadline.UntilAsync(() => !File.Exists(service.PidFile), () => service.Log);
        (code, output) = await service.RunAsync();
        _ = service.Remember();
        Assert.Equal((0, ""), (code, output));
    }

    /// <summary>More clients could come than there are descriptors for.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("daemon off; master_process off;")]
    public async Task Start_FewerDescriptorsThanConnections_Warns(string main)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main + " worker_rlimit_nofile 1000;");
        string expected = $"[warn] {service.Master}#{service.Master}: 2 times 4096 worker_connections exceed open file resource limit: 1000\n";
        if (main.Length > 0)
        {
            await service.LoggedAsync(expected);
            return;
        }

        service.Configure("timeout 70s;");
        service.Signal(MailService.Hup);
        await service.LoggedAsync(expected);
    }

    /// <summary>Whether a new client's connection has the keep-alive timer at the server's end (proc_net_tcp: timer 2).</summary>
    private static bool HasKeepAlive(int port)
    {
        using var client = new TcpClient("127.0.0.1", port);
        client.ReceiveTimeout = 5000;
        Assert.True(client.GetStream().Read(new byte[64]) > 0);
        string server = string.Create(CultureInfo.InvariantCulture, $" 0100007F:{port:X4} 0100007F:{((IPEndPoint)client.Client.LocalEndPoint!).Port:X4} ");
        string line = Assert.Single(File.ReadAllLines("/proc/net/tcp"), line => line.Contains(server, StringComparison.Ordinal));
        return line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[5].StartsWith("02:", StringComparison.Ordinal);
    }

    private static bool IsGreeted(string unixSocket)
    {
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 5000 };
        try
        {
            client.Connect(new UnixDomainSocketEndPoint(unixSocket));
            return client.Receive(new byte[64]) > 0;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            return false;
        }
    }

    /// <summary>What would not fit into the log would be lost with it: a crash after a rotation must be found in the new file.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("master_process off;")]
    public async Task Usr1_DetachedProcess_StandardErrorFollows(string main)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main);
        int master = service.Master;
        await using (await service.LogInAsync())
        {
        }

        int[] processes = [master, .. MailService.WorkersOf(master)];
        Assert.All(processes, process => Assert.Equal(service.LogFile, StandardErrorOf(process)));
        File.Move(service.LogFile, service.LogFile + ".1");
        service.Signal(MailService.Usr1);

        await Deadline.UntilAsync(
            () => processes.All(process => StandardErrorOf(process) == service.LogFile),
            () => string.Join(", ", processes.Select(StandardErrorOf)));
    }

    [Fact]
    public async Task Hup_WithoutMaster_SettingsOfTheWorkerItself_WarnsAndServesOn()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground + " master_process off;");

        foreach (string change in (string[])["worker_priority 1;", "worker_priority 1; worker_rlimit_nofile 900;"])
        {
            service.Configure(main: change);
            service.Signal(MailService.Hup);
        }

        await service.LoggedAsync("[warn] ", 2);
        Assert.Contains("\"worker_priority\" of a process without a master is changed by a restart only\n", service.Log, StringComparison.Ordinal);
        await service.LoggedAsync("\"worker_rlimit_nofile\" of a process without a master is changed by a restart only\n");
        await using SteadyClient client = await service.LogInAsync();
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The log is at notice; one client's sessions are told in full, from the reload on.</summary>
    [Fact]
    public async Task Hup_DebugConnection_SessionIsToldStepByStepWithoutItsSecret()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        await using (await service.LogInAsync(1))
        {
        }

        Assert.DoesNotContain(" connected to ", service.Log, StringComparison.Ordinal);
        string path = service.Folder.File("postern.conf");
        string text = await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(
            path, text.Replace("events {", "events { debug_connection 127.0.0.0/8;", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        service.Signal(MailService.Hup);
        await service.LoggedAsync("signal 17 (SIGCHLD)");
        await Deadline.UntilAsync(
            () =>
            {
                _ = MailService.Capability(service.Imap);
                return service.Log.Contains(" connected to ", StringComparison.Ordinal);
            },
            () => service.Log);
        await using (await service.LogInAsync(1))
        {
        }

        await service.LoggedAsync(", login: \"user\"");
        Assert.Matches(@"\[debug\] .*: \*\d+ SSL handshake done: TLSv1\.[23], cipher [A-Z0-9_-]+ while SSL handshaking, client: 127\.0\.0\.1, server: ", service.Log);
        Assert.Matches(@"\[debug\] .*: \*\d+ client command LOGIN while in auth state, client: 127\.0\.0\.1, server: ", service.Log);
        Assert.DoesNotContain("secret", service.Log, StringComparison.Ordinal);
    }

    private static string? StandardErrorOf(int process) => new FileInfo($"/proc/{process}/fd/2").LinkTarget;
}
