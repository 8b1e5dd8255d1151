using Xunit;

namespace Postern.Server.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("foo", "invalid option: \"foo\"")]
    [InlineData("", "invalid option: \"\"")]
    [InlineData("-x", "invalid option: \"x\"")]
    [InlineData("-tx", "invalid option: \"x\"")]
    [InlineData("--", "invalid option: \"-\"")]
    [InlineData("-c", "option \"-c\" requires file name")]
    [InlineData("-e", "option \"-e\" requires file name")]
    [InlineData("-p", "option \"-p\" requires directory name")]
    [InlineData("-g", "option \"-g\" requires parameter")]
    [InlineData("-s", "option \"-s\" requires parameter")]
    [InlineData("-sfoo", "invalid option: \"-s foo\"")]
    [InlineData("-s|foo", "invalid option: \"-s foo\"")]
    public void Parse_Fault_SaysNginxsWords(string arguments, string expected)
    {
        Assert.Null(CommandLine.Parse(arguments.Split('|'), out string? error));
        Assert.Equal(expected, error);
    }

    [Fact]
    public void Parse_Options_MayBeClusteredAndAttached() => Assert.Equal(
        new CommandLine
        {
            Test = true,
            Quiet = true,
            ConfigFile = "f",
            Prefix = "p",
            ErrorLog = "e",
            Directives = "daemon off;",
            Signal = "stop",
        },
        CommandLine.Parse(["-tqc", "f", "-pp", "-e", "e", "-g", "daemon off;", "-sstop", "-"], out _));

    [Theory]
    [InlineData("-v", true, false, false)]
    [InlineData("-V", true, true, false)]
    [InlineData("-h", true, false, true)]
    [InlineData("-?", true, false, true)]
    public void Parse_Version(string option, bool version, bool build, bool help) =>
        Assert.Equal(new CommandLine { ShowVersion = version, ShowBuild = build, ShowHelp = help }, CommandLine.Parse([option], out _));
}
