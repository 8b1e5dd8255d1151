using Xunit;

namespace Postern.Config.Tests;

public sealed class ConfigReaderTests : IDisposable
{
    private static readonly Slot<bool> _flag = new(false);
    private static readonly Slot<int> _number = new(7);
    private static readonly Slot<int> _size = new(4096);
    private static readonly Slot<TimeSpan> _time = new(TimeSpan.FromSeconds(60));
    private static readonly Slot<int> _keyword = new(0);
    private static readonly Slot<int> _bits = new(1);
    private static readonly Slot<IReadOnlyList<string>> _words = new(["default"]);
    private static readonly Slot<string?> _text = new(null);

    private readonly TemporaryFolder _folder = new();
    private readonly ConfigScope _main = new(null, ConfigPosition.None);
    private ConfigScope? _mail;
    private ConfigScope? _server;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("nosuch;", "unknown directive \"nosuch\"")]
    [InlineData("FLAG on;", "unknown directive \"FLAG\"")]
    [InlineData("inner;", "\"inner\" directive is not allowed here")]
    [InlineData("flag on {}", "directive \"flag\" is not terminated by \";\"")]
    [InlineData("mail;", "directive \"mail\" has no opening \"{\"")]
    [InlineData("mail x {}", "invalid number of arguments in \"mail\" directive")]
    [InlineData("flag;", "invalid number of arguments in \"flag\" directive")]
    [InlineData("flag on off;", "invalid number of arguments in \"flag\" directive")]
    [InlineData("flag on; flag on;", "\"flag\" directive is duplicate")]
    [InlineData("flag 1;", "invalid value \"1\" in \"flag\" directive, it must be \"on\" or \"off\"")]
    [InlineData("number -1;", "\"number\" directive invalid number")]
    [InlineData("size 1g;", "\"size\" directive invalid value")]
    [InlineData("time 1y;", "\"time\" directive invalid value")]
    [InlineData("keyword three;", "invalid value \"three\"")]
    [InlineData("bits a c;", "invalid value \"c\"")]
    [InlineData("}", "unexpected \"}\"")]
    [InlineData("mail {", "unexpected end of file, expecting \"}\"")]
    [InlineData("foreign { a { b; }", "unexpected end of file, expecting \"}\"")]
    [InlineData("include nosuch.conf;", "open() \"DIR/nosuch.conf\" failed (2: No such file or directory)")]
    public void Read_Fault_IsReportedInNginxsWords(string text, string message)
    {
        ConfigReader reader = Read(text);

        ConfigMessage error = Assert.Single(reader.Messages);
        Assert.Equal(message.Replace("DIR/", _folder.Path), error.Text);
        Assert.Equal($"[emerg] {error.Text} in {_folder.Path}main.conf:1", error.Render());
    }

    [Fact]
    public void Read_SeveralFaults_ReportsEachOnItsLine()
    {
        ConfigReader reader = Read("nosuch {\n  a { b; }\n}\nflag x;\nmail {\n  nosuch;\n}\nnumber\nx;\n");

        Assert.Equal([1, 4, 6, 9], reader.Messages.Select(message => message.Position.Line));
    }

    [Fact]
    public void Read_BrokenText_EndsTheReading()
    {
        ConfigReader reader = Read("nosuch; mail { ; flag x; } flag x;");

        Assert.Equal(["unknown directive \"nosuch\"", "unexpected \";\""], reader.Messages.Select(message => message.Text));
    }

    [Fact]
    public void Read_Keywords_UniteOnOneLevelAndWarnOfRepetition()
    {
        ConfigReader reader = Read("bits A; bits b a;");

        ConfigMessage warning = Assert.Single(reader.Messages);
        Assert.Equal("[warn] duplicate value \"a\"", warning.Render()[..26]);
        Assert.Equal(3, _main.Get(_bits));
    }

    [Fact]
    public void Read_MailValueBehindServer_IsInherited()
    {
        Read("mail { server { words x; } number 1; words a; words b c; bits b; }");

        Assert.Equal(1, _server!.Get(_number));
        Assert.Equal(2, _server.Get(_bits));
        Assert.Equal(["x"], _server.Get(_words));
        Assert.Equal(["a", "b", "c"], _mail!.Get(_words));
        Assert.Equal(TimeSpan.FromSeconds(60), _server.Get(_time));
    }

    [Fact]
    public void Include_Pattern_ReadsMatchesInOrderInTheSurroundingContext()
    {
        _folder.Write("conf.d/b.conf", "words b;");
        _folder.Write("conf.d/a.conf", "words a; include conf.d/deep;");
        _folder.Write("conf.d/deep", "words deep;");

        ConfigReader reader = Read("mail { include conf.d/*.conf; include none*; words end; }");

        Assert.Empty(reader.Messages);
        Assert.Equal(["a", "deep", "b", "end"], _mail!.Get(_words));
        Assert.Equal(
            ["main.conf", "conf.d/a.conf", "conf.d/deep", "conf.d/b.conf"],
            reader.Files.Select(file => file.Path[_folder.Path.Length..]));
    }

    [Fact]
    public void Include_BraceOfAnotherFile_IsRefused()
    {
        _folder.Write("open", "mail {\n");

        Assert.Equal("unexpected end of file, expecting \"}\"", Read("include open;\n}").Messages[0].Text);
    }

    [Fact]
    public void Include_Itself_EndsWithAnError()
    {
        ConfigReader reader = Read("include main.conf;");

        Assert.Contains("Too many open files", Assert.Single(reader.Messages).Text, StringComparison.Ordinal);
    }

    [Fact]
    public void ReadParameter_Faults_NameTheCommandLine()
    {
        ConfigReader reader = Reader();

        reader.ReadParameter("nosuch; mail {"u8.ToArray(), _main);

        Assert.Equal(
            [
                "[emerg] unknown directive \"nosuch\" in command line",
                "[emerg] block directives are not supported in -g option in command line",
            ],
            reader.Messages.Select(message => message.Render()));
    }

    [Fact]
    public void Render_LongText_IsCutAt1024Bytes()
    {
        ConfigMessage message = new(ConfigSeverity.Emerg, new string('x', 2000), new ConfigPosition("/f", 3));

        Assert.Equal("[emerg] " + new string('x', 1024) + " in /f:3", message.Render());
    }

    private ConfigReader Read(string text)
    {
        _folder.Write("main.conf", text);
        ConfigReader reader = Reader();
        reader.ReadMainFile(_folder.Path + "main.conf", _main);
        return reader;
    }

    private ConfigReader Reader() => new(
        [
            Directive.Flag("flag", ConfigContexts.Main, _flag),
            Directive.Number("number", ConfigContexts.Everywhere, _number),
            Directive.Size("size", ConfigContexts.Main, _size),
            Directive.Milliseconds("time", ConfigContexts.Everywhere, _time),
            Directive.Keyword("keyword", ConfigContexts.Main, _keyword, new("one", 1), new("two", 2)),
            Directive.Keywords("bits", ConfigContexts.Everywhere, _bits, new("a", 1), new("b", 2)),
            Directive.Words("words", ConfigContexts.MailAndServer, _words),
            Directive.Text("inner", ConfigContexts.Server, _text),
            Directive.ForeignBlock("foreign", ConfigContexts.Main, call => call.SkipBlock()),
            Directive.Block("mail", ConfigContexts.Main, call => call.ReadBlock(ConfigContexts.Mail, _mail = new(null, call.Position))),
            Directive.Block("server", ConfigContexts.Mail, call =>
                call.ReadBlock(ConfigContexts.Server, _server = new(call.Scope, call.Position))),
        ],
        new ConfigEnvironment { Prefix = _folder.Path, ConfigDirectory = _folder.Path, ResolveHost = _ => [] });
}
