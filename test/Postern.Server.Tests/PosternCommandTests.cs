using System.Text;
using Postern.Config;
using Xunit;

namespace Postern.Server.Tests;

public sealed class PosternCommandTests : ConfigurationTests, IServerRunner
{
    private readonly MemoryStream _output = new();
    private readonly MemoryStream _error = new();
    private IReadOnlyList<ConfigMessage> _found = [];
    private MainSettings? _running;

    [Fact]
    public void Execute_Version_NamesBothPrograms()
    {
        Assert.Equal(0, Execute("-v"));
        Assert.Equal("nginx version: postern/0.1.0 (nginx/1.31.5 mail compatible)\n", Error());
    }

    [Fact]
    public void Execute_Build_NamesTheLibrary()
    {
        Assert.Equal(0, Execute("-V"));
        Assert.Contains("\nbuilt with OpenSSL 9.9\n", Error(), StringComparison.Ordinal);
        Assert.EndsWith("configure arguments: --with-mail --with-mail_ssl_module\n", Error(), StringComparison.Ordinal);
    }

    [Fact]
    public void Execute_Help_ShowsUsage()
    {
        Assert.Equal(0, Execute("-h"));
        Assert.Contains("\nUsage: postern [-?hvVtTq] [-s signal] [-p prefix]\n", Error(), StringComparison.Ordinal);
    }

    [Fact]
    public void Execute_BadOption_Fails()
    {
        Assert.Equal(1, Execute("-x"));
        Assert.Equal("nginx: invalid option: \"x\"\n", Error());
    }

    [Fact]
    public void Execute_Demo_IsDispatched() => Assert.Equal(42, Execute("demo", "now"));

    [Theory]
    [InlineData(
        "-t",
        "nginx: the configuration file DIR/n.conf syntax is ok\nnginx: configuration file DIR/n.conf test is successful\n")]
    [InlineData("-tq", "")]
    public void Execute_TestOfGoodFile_Succeeds(string option, string expected)
    {
        Assert.Equal(0, ExecuteFile("events {}", option));
        Assert.Equal(expected, Error());
        Assert.Empty(_output.ToArray());
    }

    [Theory]
    [InlineData("events { nosuch; }", "nginx: [emerg] unknown directive \"nosuch\" in DIR/n.conf:1\n")]
    [InlineData(
        "mail {}",
        "nginx: the configuration file DIR/n.conf syntax is ok\nnginx: [emerg] no \"events\" section in configuration\n")]
    public void Execute_TestOfBadFile_Fails(string text, string expected)
    {
        Assert.Equal(1, ExecuteFile(text, "-t"));
        Assert.Equal(expected + "nginx: configuration file DIR/n.conf test failed\n", Error());
    }

    [Fact]
    public void Execute_TestOfTheSystem_MayFailBehindTheSyntax()
    {
        _found = [new ConfigMessage(ConfigSeverity.Emerg, "open() \"/x\" failed (13: Permission denied)", ConfigPosition.None)];

        Assert.Equal(1, ExecuteFile("events {}", "-tq"));
        Assert.Equal(
            "nginx: [emerg] open() \"/x\" failed (13: Permission denied)\nnginx: configuration file DIR/n.conf test failed\n", Error());
    }

    [Fact]
    public void Execute_Dump_PrintsEachFileOnce()
    {
        File.WriteAllText(Folder + "i", "# i");

        Assert.Equal(0, ExecuteFile("include i; include i; events {}\n", "-Tq"));
        Assert.Equal(
            "# configuration file DIR/n.conf:\ninclude i; include i; events {}\n\n# configuration file DIR/i:\n# i\n", Shown(_output));
    }

    [Fact]
    public void Execute_Notice_IsNotShown()
    {
        Assert.Equal(0, ExecuteFile("load_module x; events {}", "-tq"));
        Assert.Equal("", Error());
    }

    [Fact]
    public void Execute_NoOption_Runs()
    {
        Assert.Equal(7, ExecuteFile("worker_processes 5; events {}"));
        Assert.Equal(5, _running!.WorkerProcesses);
    }

    [Fact]
    public void Execute_BadFile_DoesNotRun()
    {
        Assert.Equal(1, ExecuteFile("mail {}"));
        Assert.Equal("nginx: [emerg] no \"events\" section in configuration\n", Error());
        Assert.Null(_running);
    }

    [Theory]
    [InlineData(null, "[error] open() \"DIR/p\" failed (2: No such file or directory)")]
    [InlineData("xyz\n", "[error] invalid PID number \"xyz\" in \"DIR/p\"")]
    [InlineData("", "[error] invalid PID number \"\" in \"DIR/p\"")]
    [InlineData("0\n", "[error] invalid PID number \"0\" in \"DIR/p\"")]
    [InlineData("2147483647\n", "[alert] kill(2147483647, 15) failed (3: No such process)")]
    public void Execute_Signal_NeedsAProcess(string? pidFile, string expected)
    {
        if (pidFile is not null)
        {
            File.WriteAllText(Folder + "p", pidFile);
        }

        Assert.Equal(1, ExecuteFile("pid p; events {}", "-s", "stop"));
        Assert.Equal($"nginx: {expected}\n", Error());
    }

    bool IServerRunner.MayStartWorker => false;

    bool IServerRunner.StartsWorker(MainSettings settings) => false;

    int IServerRunner.Run(MainSettings settings, IReadOnlyList<ConfigMessage> messages, CommandLine commandLine)
    {
        _running = settings;
        return 7;
    }

    IReadOnlyList<ConfigMessage> IServerRunner.Test(MainSettings settings, CommandLine commandLine) => _found;

    private int ExecuteFile(string text, params string[] arguments)
    {
        File.WriteAllText(Folder + "n.conf", text);
        return Execute([.. arguments, "-p", Folder, "-c", "n.conf"]);
    }

    private int Execute(params string[] arguments) =>
        new PosternCommand(this, rest => rest.Count == 1 ? 42 : 0, () => "OpenSSL 9.9", new StandardStreams(_output, _error))
            .Execute(arguments);

    private string Error() => Shown(_error);

    private string Shown(MemoryStream stream) => Encoding.UTF8.GetString(stream.ToArray()).Replace(Folder, "DIR/");
}
