using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Life;

/// <summary>Master and worker (mail-proxy 1.6, 1.9): privileges, faults, signals, upgrades. They need the superuser, as the master does.</summary>
public sealed class MasterTests
{
    private const string KeepForeground = "daemon off;";

    [Fact]
    public async Task Worker_StartedByRoot_HasNoPrivilege()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);

        int worker = await WorkerAsync(service);
        string[] status = await File.ReadAllLinesAsync($"/proc/{worker}/status", TestContext.Current.CancellationToken);

        Assert.All(["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"], set => Assert.Equal("0000000000000000", Field(status, set)));
        Assert.DoesNotContain("0", Field(status, "Uid").Split('\t'));
        Assert.DoesNotContain("0", Field(status, "Gid").Split('\t'));
        Assert.All(Directory.GetDirectories($"/proc/{worker}/task"), task => Assert.Equal("1", Field(File.ReadAllLines(task + "/status"), "NoNewPrivs")));
        Assert.Equal(service.Master, int.Parse(Field(status, "PPid"), CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Worker_Environment_HasOnlyWhatEnvSays()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground + " env HOME; env POSTERN_SAYS=hello;");

        string[] variables = (await File.ReadAllTextAsync($"/proc/{await WorkerAsync(service)}/environ", TestContext.Current.CancellationToken))
            .Split('\0', StringSplitOptions.RemoveEmptyEntries);

        Assert.Contains("POSTERN_SAYS=hello", variables);
        Assert.Contains(variables, variable => variable.StartsWith("HOME=", StringComparison.Ordinal));
        Assert.DoesNotContain(variables, variable => variable.StartsWith("PATH=", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Worker_Killed_IsReplacedWithinASecondAndLogged()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        int first = await WorkerAsync(service);

        long start = Stopwatch.GetTimestamp();
        MailService.Signal(first, MailService.Kill);
        await service.LoggedAsync("start worker process ", 2);
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        await using SteadyClient client = await service.LogInAsync(1);
        await client.ExchangeAsync(TestContext.Current.CancellationToken);

        Assert.True(elapsed < TimeSpan.FromSeconds(1), $"replaced after {elapsed}");
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"[alert] {service.Master}#{service.Master}: worker process {first} exited on signal 9\n"), service.Log, StringComparison.Ordinal);
        Assert.NotEqual(first, await WorkerAsync(service));
    }

    [Fact]
    public async Task Hup_KeyOnlyRootCanRead_NewCertificateIsServed()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        await using SteadyClient old = await service.LogInAsync(1);
        TestCertificate other = TestCertificate.WriteRsa(service.Folder);
        File.SetUnixFileMode(other.KeyFile, UnixFileMode.UserRead);

        service.Configure($"ssl_certificate {other.CertificateFile}; ssl_certificate_key {other.KeyFile};");
        string text = await File.ReadAllTextAsync(service.Folder.File("postern.conf"), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(
            service.Folder.File("postern.conf"),
            text.Replace($"ssl_certificate {service.Certificate.CertificateFile};", "", StringComparison.Ordinal)
                .Replace($"ssl_certificate_key {service.Certificate.KeyFile};", "", StringComparison.Ordinal),
            TestContext.Current.CancellationToken);
        int worker = await WorkerAsync(service);
        service.Signal(MailService.Hup);

        await Deadline.UntilAsync(() => ServesRsa(service.Imaps), () => service.Log);
        await old.ExchangeAsync(TestContext.Current.CancellationToken);
        Assert.Equal(worker, await WorkerAsync(service));
    }

    [Fact]
    public async Task Hup_BadConfiguration_IsReportedAndChangesNothing()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        int worker = await WorkerAsync(service);

        service.Configure("no_such_thing on;");
        service.Signal(MailService.Hup);
        await service.LoggedAsync("[emerg]");

        Assert.Contains("unknown directive \"no_such_thing\" in ", service.Log, StringComparison.Ordinal);
        Assert.Equal(worker, await WorkerAsync(service));
        await using SteadyClient client = await service.LogInAsync();
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Hup_SettingsOfTheWorkerItself_AnotherWorkerTakesOverAndSessionsStay()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        int first = await WorkerAsync(service);
        SteadyClient held = await service.LogInAsync();

        service.Configure(main: "worker_priority 5;");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => MailService.WorkersOf(service.Master).Count == 2, () => service.Log);
        await service.LoggedAsync("gracefully shutting down");
        await held.ExchangeAsync(TestContext.Current.CancellationToken);
        await held.DisposeAsync();

        await Deadline.UntilAsync(() => !MailService.IsRunning(first), () => service.Log);
        await using SteadyClient client = await service.LogInAsync(2);
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Hup_AHundredInASecond_TheLastConfigurationIsInForce()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        await using SteadyClient held = await service.LogInAsync();

        for (int i = 0; i < 100; i++)
        {
            service.Configure(string.Create(CultureInfo.InvariantCulture, $"imap_capabilities NUMBER{i};"));
            service.Signal(MailService.Hup);
        }

        await Deadline.UntilAsync(() => MailService.Capability(service.Imap).Contains("NUMBER99", StringComparison.Ordinal), () => service.Log);
        await held.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Usr1_LogRenamed_AllProcessesWriteToANewFile()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        int worker = await WorkerAsync(service);
        File.Move(service.LogFile, service.LogFile + ".1");

        service.Signal(MailService.Usr1);
        await service.LoggedAsync("reopening logs", 3);
        MailService.Signal(worker, MailService.Winch);
        await service.LoggedAsync("gracefully shutting down");

        string fresh = await File.ReadAllTextAsync(service.LogFile, TestContext.Current.CancellationToken);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $" {worker}#{worker}: gracefully shutting down\n"), fresh, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Quit_JoinedSession_GoesOnAndBothProcessesEndWithIt()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int master = service.Master;
        SteadyClient held = await service.LogInAsync(3);

        service.Signal(MailService.Quit);
        await Deadline.UntilAsync(() => !LoopbackPorts.IsListening(service.Smtp), () => "it still listens");
        await held.ExchangeAsync(TestContext.Current.CancellationToken);
        await held.DisposeAsync();

        await Deadline.UntilAsync(() => !MailService.IsRunning(master), () => service.Log);
        Assert.False(File.Exists(service.PidFile));
        Assert.Contains(
            string.Create(CultureInfo.InvariantCulture, $"signal 3 (SIGQUIT) received from {Environment.ProcessId}, shutting down\n"), service.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Master_Killed_WorkerEndsWithItsLastSession()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int worker = await WorkerAsync(service);
        SteadyClient held = await service.LogInAsync();

        service.Signal(MailService.Kill);
        await Deadline.UntilAsync(() => !LoopbackPorts.IsListening(service.Imap), () => "it still listens");
        await held.ExchangeAsync(TestContext.Current.CancellationToken);
        await held.DisposeAsync();

        await Deadline.UntilAsync(() => !MailService.IsRunning(worker), () => service.Log);
        Assert.Contains("[alert]", service.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Upgrade_TakenBack_TheOldBinaryServesOn()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int old = service.Master;
        await using SteadyClient held = await service.LogInAsync();

        service.Signal(MailService.Usr2);
        await Deadline.UntilAsync(() => service.IsTakenOverFrom(old), () => service.Log);
        int fresh = service.Remember();
        Assert.Equal(old, int.Parse(await File.ReadAllTextAsync(service.PidFile + ".oldbin", TestContext.Current.CancellationToken), CultureInfo.InvariantCulture));
        await Deadline.UntilAsync(() => MailService.WorkersOf(fresh).Count == 1, () => service.Log);
        MailService.Signal(old, MailService.Winch);
        await service.LoggedAsync("stop accepting connections");
        MailService.Signal(fresh, MailService.Term);
        await Deadline.UntilAsync(() => !MailService.IsRunning(fresh), () => service.Log);

        await Deadline.UntilAsync(() => service.IsTakenOverFrom(fresh), () => service.Log);
        Assert.Equal(old, service.Master);
        await using SteadyClient client = await service.LogInAsync(1);
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
        await held.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Start_PidFileOfARunningProcess_IsRefused()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int master = service.Master;
        string path = service.Folder.File("postern.conf");
        string text = await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);
        foreach (int port in (int[])[service.Imap, service.Imaps, service.Pop3, service.Smtp])
        {
            text = text.Replace($":{port}", $":{LoopbackPorts.Next()}", StringComparison.Ordinal);
        }

        await File.WriteAllTextAsync(path, text, TestContext.Current.CancellationToken);
        (int code, string output) = await service.RunAsync();

        Assert.Equal(1, code);
        Assert.Contains($"[emerg] pid file \"{service.PidFile}\" names the running process {master}, ", output, StringComparison.Ordinal);
        Assert.Equal(master, service.Master);
    }

    [Fact]
    public async Task Start_StalePidFile_IsReplaced()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        int first = service.Master;
        MailService.Signal(first, MailService.Kill);
        await Deadline.UntilAsync(() => !LoopbackPorts.IsListening(service.Imap), () => "it still listens");

        (int code, string output) = await service.RunAsync();

        Assert.True(code == 0, output);
        Assert.NotEqual(first, service.Remember());
    }

    [Theory]
    [InlineData("pid /nonexistent/postern.pid;", "open() \"/nonexistent/postern.pid\" failed (2: No such file or directory)")]
    [InlineData("user no_such_user_here;", "getpwnam(\"no_such_user_here\") failed in ")]
    [InlineData("error_log /nonexistent/error.log;", "open() \"/nonexistent/error.log\" failed (2: No such file or directory)")]
    public async Task Start_SomethingIsWrong_SaysSoAndFailsThoughDetached(string directive, string expected)
    {
        using var folder = new TemporaryFolder();
        string pid = directive.StartsWith("pid", StringComparison.Ordinal) ? "" : $"pid {folder.File("pid")};";
        string path = folder.Write("c", $"{directive} {pid} events {{ }}");

        (int code, string output) = await RunningProcess.RunAsync(
            ProgramUnderTest.ExecutableOf(MailProxy.Postern), ["-c", path, "-e", folder.File("start.log")], workingFolder: folder.Path);

        Assert.Equal(1, code);
        Assert.Contains("nginx: [emerg] " + expected, output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hup_LogFolderVanished_IsReportedAndChangesNothing()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);
        string folder = service.Folder.File("logs");
        Directory.CreateDirectory(folder);
        service.Configure($"error_log {folder}/mail.log;");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => File.Exists(folder + "/mail.log"), () => service.Log);
        await using SteadyClient held = await service.LogInAsync();

        Directory.Delete(folder, recursive: true);
        service.Signal(MailService.Hup);
        await service.LoggedAsync($"open() \"{folder}/mail.log\" failed (2: No such file or directory)");
        service.Signal(MailService.Usr1);
        await service.LoggedAsync($"open() \"{folder}/mail.log\" failed (2: No such file or directory)", 2);

        await held.ExchangeAsync(TestContext.Current.CancellationToken);
        await using SteadyClient client = await service.LogInAsync(2);
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Hup_PortTakenByAnother_IsReportedAndChangesNothing()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);

        service.Configure($"server {{ listen 127.0.0.1:{backends.AuthPort}; protocol imap; }}");
        service.Signal(MailService.Hup);
        await service.LoggedAsync("still could not bind()");

        Assert.Contains($"bind() to 127.0.0.1:{backends.AuthPort} failed (98: Address already in use)", service.Log, StringComparison.Ordinal);
        await using SteadyClient client = await service.LogInAsync();
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task ServiceManager_StartReloadStop_HearsOfEach()
    {
        using var manager = new FakeServiceManager();
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground, manager.Environment());

        await manager.HearAsync("READY=1");
        service.Signal(MailService.Hup);
        await manager.HearAsync("RELOADING=1\nMONOTONIC_USEC=");
        await manager.HearAsync("READY=1");
        service.Signal(MailService.Quit);
        await manager.HearAsync("STOPPING=1");
    }

    [Theory]
    [InlineData("daemon off;")]
    [InlineData("daemon off; master_process off;")]
    public async Task Watchdog_LoopsTurn_HearsOfItAgainAndAgain(string main)
    {
        using var manager = new FakeServiceManager();
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main, manager.Environment(watchdog: TimeSpan.FromMilliseconds(400)));

        for (int i = 0; i < 5; i++)
        {
            await manager.HearAsync("WATCHDOG=1");
        }
    }

    [Fact]
    public async Task Watchdog_WorkerStandsStill_SilenceUntilItGoesOn()
    {
        using var manager = new FakeServiceManager();
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(
            backends, KeepForeground, manager.Environment(watchdog: TimeSpan.FromMilliseconds(400)));
        int worker = await WorkerAsync(service);
        await manager.HearAsync("WATCHDOG=1");

        MailService.Signal(worker, MailService.Stop);
        try
        {
            await service.LoggedAsync(string.Create(CultureInfo.InvariantCulture, $"[alert] {service.Master}#{service.Master}: worker process {worker} does not answer\n"));
            manager.Forget();

            // Five times as long as it may be silent at most.
            Assert.Null(await manager.TryHearAsync(TimeSpan.FromSeconds(1)));
        }
        finally
        {
            MailService.Signal(worker, MailService.Continue);
        }

        await manager.HearAsync("WATCHDOG=1");
        await service.LoggedAsync(string.Create(CultureInfo.InvariantCulture, $"worker process {worker} answers again\n"));
        await manager.HearAsync("WATCHDOG=1");
        Assert.DoesNotContain("has not turned", service.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Log_DiskFull_SessionsAndReloadsGoOn()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, KeepForeground);

        service.Configure("error_log /dev/full debug; imap_capabilities NEWLY;");
        service.Signal(MailService.Hup);
        await Deadline.UntilAsync(() => MailService.Capability(service.Imap).Contains("NEWLY", StringComparison.Ordinal), () => service.Log);

        await using SteadyClient client = await service.LogInAsync(1);
        await client.ExchangeAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The one worker, once it is there.</summary>
    private static async Task<int> WorkerAsync(MailService service)
    {
        IReadOnlyList<int> workers = [];
        await Deadline.UntilAsync(() => (workers = MailService.WorkersOf(service.Master)).Count == 1, () => service.Log);

        // It answers, so it has become what it shall be.
        await using SteadyClient client = await service.LogInAsync();
        return workers[0];
    }

    private static string Field(string[] status, string name) =>
        status.Single(line => line.StartsWith(name + ":", StringComparison.Ordinal))[(name.Length + 1)..].Trim();

    private static bool ServesRsa(int port)
    {
        using TcpClient client = new("127.0.0.1", port);
        using System.Net.Security.SslStream tls = new(client.GetStream(), false, (_, certificate, _, _) => certificate is not null);
        tls.AuthenticateAsClient("test");
        return tls.RemoteCertificate!.GetKeyAlgorithm() == "1.2.840.113549.1.1.1";
    }
}
