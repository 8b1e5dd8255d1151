using Postern.Logging;
using Postern.Server.Configuration;
using Xunit;

namespace Postern.Server.Tests.Configuration;

public sealed class MainSettingsTests : ConfigurationTests
{
    private const string HttpSkipped = "[warn] \"http\" block is not supported, skipped in n.conf:1";

    [Fact]
    public void Main_NothingSaid_HasDefaults()
    {
        MainSettings settings = Settings("events {}");

        Assert.Equal(
            (1, 512, false, true, true),
            (settings.WorkerProcesses, settings.WorkerConnections, settings.MultiAccept, settings.Daemon, settings.MasterProcess));
        Assert.Equal(Folder + "logs/postern.pid", settings.PidFile);
        Assert.Equal([new ErrorLogSettings { Kind = ErrorLogTargetKind.File, Path = Folder + "logs/error.log" }], settings.ErrorLogs);
        Assert.Equal(
            (null, null, 0, null),
            (settings.WorkerRlimitNofile, settings.WorkerRlimitCore, settings.WorkerPriority, settings.WorkingDirectory));
        Assert.Equal(TimeSpan.Zero, settings.WorkerShutdownTimeout);
        Assert.Empty(settings.Servers);
    }

    [Fact]
    public void Main_Directives_AreStored()
    {
        MainSettings settings = Settings(
            "worker_processes 3; worker_rlimit_nofile 99; worker_rlimit_core 1g; worker_priority -5; worker_shutdown_timeout 5s; "
            + "working_directory /; daemon off; master_process OFF; pid run/p; events { worker_connections 9; multi_accept on; use epoll; }");

        Assert.Equal(
            (3, 9, true, false, false),
            (settings.WorkerProcesses, settings.WorkerConnections, settings.MultiAccept, settings.Daemon, settings.MasterProcess));
        Assert.Equal(
            (99L, 1L << 30, -5, "/"),
            (settings.WorkerRlimitNofile, settings.WorkerRlimitCore, settings.WorkerPriority, settings.WorkingDirectory));
        Assert.Equal((TimeSpan.FromSeconds(5), Folder + "run/p"), (settings.WorkerShutdownTimeout, settings.PidFile));
    }

    [Fact]
    public void DebugConnection_AddressesRangesAndNames_AreCollected() => Assert.Equal(
        ["0A000000/8", "/0", "C0000201/32", "20010DB8000000000000000000000001/128", "C0000201/32"],
        Settings("events { debug_connection 10.1.2.3/8; debug_connection unix:; debug_connection two.example; }")
            .DebugConnections.Select(range => $"{Convert.ToHexString(range.Address)}/{range.PrefixBits}"));

    [Fact]
    public void WorkerProcesses_Auto_IsTheProcessors() =>
        Assert.Equal(Environment.ProcessorCount, Settings("worker_processes auto; events {}").WorkerProcesses);

    [Theory]
    [InlineData("mail {}", "[emerg] no \"events\" section in configuration")]
    [InlineData("events { worker_connections 0; }", "[emerg] 0 worker_connections are not enough for 0 listening sockets")]
    [InlineData(
        "http { a { b \"}\"; } }\nstream {\n} events {}",
        "HTTP|[warn] \"stream\" block is not supported, skipped in n.conf:2")]
    [InlineData("http { ", "HTTP|[emerg] unexpected end of file, expecting \"}\" in n.conf:1")]
    [InlineData("load_module x.so; events {}", "[notice] \"load_module\" \"x.so\" is ignored, the mail modules are built in in n.conf:1")]
    [InlineData("http {} load_module x.so; events {}", "HTTP|[emerg] \"load_module\" directive is specified too late in n.conf:1")]
    [InlineData("events {} events { nosuch; }", "[emerg] \"events\" directive is duplicate in n.conf:1")]
    [InlineData("mail {} mail { nosuch; }", "[emerg] \"mail\" directive is duplicate in n.conf:1")]
    [InlineData("events {} mail { ssl_stapling on; }", "[emerg] unknown directive \"ssl_stapling\" in n.conf:1")]
    public void Load_Whole_Says(string text, string messages) =>
        Assert.Equal(messages.Replace("HTTP", HttpSkipped).Split('|'), Messages(text));

    [Fact]
    public void Load_SocketsCovered_CountOnce()
    {
        const string servers = "mail { auth_http 127.0.0.1:1; "
            + "server { listen 143; listen 127.0.0.1:143; listen 127.0.0.2:143 bind; listen 993; } }";

        Assert.Equal(
            ["[emerg] 3 worker_connections are not enough for 3 listening sockets"],
            Messages("events { worker_connections 3; } " + servers));
        Assert.Empty(Messages("events { worker_connections 4; } " + servers));
    }

    [Theory]
    [InlineData("error_log a;", "File a Error")]
    [InlineData("error_log a debug;", "File a Debug")]
    [InlineData("error_log a debug_mail debug_core;", "File a Debug")]
    [InlineData("error_log a debug_http;", "File a Info")]
    [InlineData("error_log stderr info;", "StandardError  Info")]
    [InlineData("error_log syslog:server=127.0.0.1 crit;", "Syslog  Crit|File logs/error.log Error")]
    [InlineData("error_log a; error_log b warn;", "File a Error|File b Warn")]
    public void ErrorLog_Targets_AreRead(string text, string expected) => Assert.Equal(
        expected.Split('|'),
        Settings(text + " events {}").ErrorLogs.Select(log => $"{log.Kind} {log.Path.Replace(Folder, "")} {log.Level}"));

    [Fact]
    public void ErrorLog_Syslog_IsRead()
    {
        SyslogSettings syslog = Settings("error_log syslog:server=[::1]:99,facility=mail,severity=info,tag=x_1,nohostname; events {}")
            .ErrorLogs[0].Syslog!;

        Assert.Equal(("[::1]:99", 2, "x_1", true), (syslog.Server!.ToString(), syslog.Facility, syslog.Tag, syslog.NoHostName));
        Assert.Equal("/dev/log", Settings("error_log syslog:server=unix:/dev/log; events {}").ErrorLogs[0].Syslog!.UnixPath);
    }

    [Fact]
    public void ErrorLog_OptionE_ReplacesTheBuiltInFile() => Assert.Equal(
        ErrorLogTargetKind.StandardError, Load("events {}", errorLog: "stderr").Settings!.ErrorLogs[0].Kind);

    [Fact]
    public void Load_Directives_AreReadFirst()
    {
        ConfigurationResult result = Load("pid b; events {}", directives: "pid a;");

        Assert.Null(result.Settings);
        Assert.Equal($"[emerg] \"pid\" directive is duplicate in {Folder}n.conf:1", result.Messages[0].Render());
        Assert.Equal(Folder + "a", Load("events {}", directives: "pid a;").Settings!.PidFile);
    }

    [Fact]
    public void Load_NoFile_SaysSo()
    {
        ConfigurationResult result = ConfigurationLoader.Load(new ConfigurationSource { Prefix = Folder });

        Assert.Equal($"[emerg] open() \"{Folder}conf/postern.conf\" failed (2: No such file or directory)", result.Messages[0].Render());
        Assert.False(result.IsSyntaxOk);
    }
}
