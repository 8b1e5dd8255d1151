using Postern.Demo;
using Postern.TestKit;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>What signals do to the running program and the sessions it holds (mail-proxy 1.9).</summary>
public sealed class ProcessLifeTests
{
    private const int Hup = 1;
    private const int Int = 2;
    private const int Quit = 3;
    private const int Usr1 = 10;
    private const int Term = 15;

    private static readonly TimeSpan _soon = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Quit_JoinedSession_GoesOnAndTheProcessEndsWithIt()
    {
        await using DemoServers servers = DemoServers.Start();
        await using Gate gate = await Gate.StartAsync(servers);
        await using Session session = await gate.LogInAsync();

        gate.Program.Signal(Quit);
        await Deadline.UntilAsync(() => !LoopbackPorts.IsListening(gate.Port), () => "it still listens");

        Assert.Contains(" OK ", await session.CommandAsync("NOOP"), StringComparison.Ordinal);
        Assert.False(gate.Program.HasExited);
        Assert.Contains("* BYE", await session.CommandAsync("LOGOUT"), StringComparison.Ordinal);
        await gate.Program.WaitForExitAsync(_soon);
        Assert.Equal(0, gate.Program.ExitCode);
        Assert.False(File.Exists(gate.PidFile));
        Assert.Contains("gracefully shutting down", gate.Program.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Quit_WorkerShutdownTimeout_CutsJoinedAndWaitingSessions()
    {
        await using DemoServers servers = DemoServers.Start();
        await using Gate gate = await Gate.StartAsync(servers, "worker_shutdown_timeout 1s;");
        await using Session joined = await gate.LogInAsync();
        await using ScriptedConnection waiting = await ScriptedConnection.ConnectAsync(gate.Port);
        Assert.StartsWith("* OK", await waiting.ReadLineAsync(), StringComparison.Ordinal);

        gate.Program.Signal(Quit);
        await gate.Program.WaitForExitAsync(_soon);

        Assert.Equal(0, gate.Program.ExitCode);
        Assert.Contains("shutdown timeout while proxying, client: 127.0.0.1", gate.Program.Log, StringComparison.Ordinal);
        Assert.Contains("shutdown timeout while in auth state, client: 127.0.0.1", gate.Program.Log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Term)]
    [InlineData(Int)]
    public async Task Term_JoinedSession_EndsAtOnce(int signal)
    {
        await using DemoServers servers = DemoServers.Start();
        await using Gate gate = await Gate.StartAsync(servers);
        await using Session session = await gate.LogInAsync();

        gate.Program.Signal(signal);
        await gate.Program.WaitForExitAsync(_soon);

        Assert.Equal(0, gate.Program.ExitCode);
        Assert.False(File.Exists(gate.PidFile));
    }

    [Fact]
    public async Task Hup_NewConfiguration_NewClientsGetItAndOldSessionsStay()
    {
        await using DemoServers servers = DemoServers.Start();
        await using Gate gate = await Gate.StartAsync(servers);
        await using Session session = await gate.LogInAsync();

        gate.Configure("imap_capabilities NEWLY;");
        gate.Program.Signal(Hup);
        await Deadline.UntilAsync(() => gate.CapabilityAsync().GetAwaiter().GetResult().Contains("NEWLY"), () => "the old configuration answers");

        Assert.Contains(" OK ", await session.CommandAsync("NOOP"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hup_BadConfiguration_IsReportedAndChangesNothing()
    {
        await using DemoServers servers = DemoServers.Start();
        await using Gate gate = await Gate.StartAsync(servers);

        gate.Configure("imap_capabilitiez NEWLY;");
        gate.Program.Signal(Hup);
        await Deadline.UntilAsync(
            () => gate.Program.Log.Contains("[emerg]", StringComparison.Ordinal), () => gate.Program.Log);

        Assert.Contains("unknown directive \"imap_capabilitiez\" in ", gate.Program.Log, StringComparison.Ordinal);
        Assert.Contains("UIDPLUS", await gate.CapabilityAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Usr1_LogRenamed_WritesToANewFile()
    {
        await using DemoServers servers = DemoServers.Start();
        await using Gate gate = await Gate.StartAsync(servers);
        File.Move(gate.LogFile, gate.LogFile + ".1");

        gate.Program.Signal(Usr1);
        await Deadline.UntilAsync(() => File.Exists(gate.LogFile), () => "no new log");
        _ = await gate.CapabilityAsync();

        await Deadline.UntilAsync(
            () => gate.Program.Log.Contains("connected to", StringComparison.Ordinal), () => gate.Program.Log);
        Assert.Contains("reopening logs", await File.ReadAllTextAsync(gate.LogFile + ".1", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <summary>A postern with one clear-text port, whose configuration a test may change.</summary>
    private sealed class Gate : IAsyncDisposable
    {
        private readonly TemporaryFolder _folder;
        private readonly DemoServers _servers;
        private readonly string _main;

        private Gate(TemporaryFolder folder, DemoServers servers, string main, int port)
        {
            _folder = folder;
            _servers = servers;
            _main = main;
            Port = port;
        }

        public int Port { get; }

        public ProgramUnderTest Program { get; private set; } = null!;

        public string LogFile => _folder.File("error.log");

        public string PidFile => _folder.File("proxy.pid");

        public static async Task<Gate> StartAsync(DemoServers servers, string main = "")
        {
            var gate = new Gate(new TemporaryFolder(), servers, main, LoopbackPorts.Next());
            gate.Program = await ProgramUnderTest.StartAsync(MailProxy.Postern, gate._folder, gate.Blocks(""), gate.Port);
            return gate;
        }

        /// <summary>Writes the configuration anew with more directives in the server.</summary>
        public void Configure(string more)
        {
            string path = _folder.File("proxy.conf");
            string old = File.ReadAllText(path);
            File.WriteAllText(path, old.Replace(Blocks(""), Blocks(more), StringComparison.Ordinal));
        }

        public Task<Session> LogInAsync() => Session.OpenAsync(Port, tls: false, "alice", "wonderland");

        public async Task<string> CapabilityAsync()
        {
            await using ScriptedConnection connection = await ScriptedConnection.ConnectAsync(Port);
            _ = await connection.ReadLineAsync();
            await connection.WriteAsync("a CAPABILITY\r\n");
            return await connection.ReadLineAsync() ?? "";
        }

        public async ValueTask DisposeAsync()
        {
            await Program.DisposeAsync();
            _folder.Dispose();
        }

        private string Blocks(string more) =>
            $"{_main} mail {{ auth_http {_servers.Auth.Url}; server {{ listen 127.0.0.1:{Port}; protocol imap; {more} }} }}";
    }
}
