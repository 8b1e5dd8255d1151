using CsCheck;
using Postern.Protocol.Imap;
using Xunit;

namespace Postern.Protocol.Tests.Imap;

public class ImapCommandParserTests
{
    private const string Tag32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ01-._a";

    [Theory]
    // verbs, tags, spaces
    [InlineData("a NOOP\r\n", "a Noop")]
    [InlineData("a NOOP\n", "a Noop")]
    [InlineData("A1 noop\r\n", "A1 Noop")]
    [InlineData("a CapaBility\r\n", "a Capability")]
    [InlineData("a LOGOUT\r\na STARTTLS\r\n", "a Logout | a StartTls")]
    [InlineData("a   LOGIN   u   p   \r\n", "a Login[u][p]")]
    [InlineData("a NOOP x y z\r\n", "a Noop[x][y][z]")]
    [InlineData("a AUTHENTICATE PLAIN AHUAcA==\r\n", "a Authenticate[PLAIN][AHUAcA==]")]
    [InlineData("a AUTHENTICATE\r\n", "a Authenticate")]
    [InlineData(Tag32 + " NOOP\r\n", Tag32 + " Noop")]
    [InlineData(Tag32 + "b NOOP\r\n", "* BAD")]
    [InlineData(" NOOP\r\n", "* BAD")]
    [InlineData("a+ NOOP\r\na NOOP\r\n", "* BAD | a Noop")]
    [InlineData("\u00e9 NOOP\r\n", "* BAD")]
    [InlineData("x\r\n", "* BAD")]
    [InlineData("\r\n\n", "* BAD | * BAD")]
    [InlineData("a \r\n", "a BAD")]
    [InlineData("a    \n", "a BAD")]
    [InlineData("a XYZZY\r\n", "a BAD")]
    [InlineData("a NOO\r\na NOOPX\r\n", "a BAD | a BAD")]
    [InlineData("a NO-OP\r\n", "a BAD")]
    [InlineData("a NOOP\tx\r\n", "a BAD")]
    [InlineData("a ID NIL\r\n", "a BAD")]
    // line ends
    [InlineData("a NOOP\rx\r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a NOOP\r\r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a\rNOOP\r\n", "* BAD")]
    [InlineData("a LOGIN u p\r", "…")]
    [InlineData("a LOGIN u\rv p\r\n", "a BAD")]
    // atoms
    [InlineData("a LOGIN u\"x{3} p\\\\\"\r\n", "a Login[u\"x{3}][p\\\\\"]")]
    [InlineData("a LOGIN \u0001\u0000\u00ff\t p\r\n", "a Login[\u0001\u0000\u00ff\t][p]")]
    [InlineData("a LOGIN 1 2 3 4\r\n", "a BAD")]
    [InlineData("a NOOP 1 2 3 \"4\"\r\n", "a BAD")]
    // quoted strings
    [InlineData("a LOGIN \"u\" \"\"\r\n", "a Login[u][]")]
    [InlineData("a LOGIN \"u\"\"p\"\r\n", "a Login[u][p]")]
    [InlineData("a LOGIN \"a b\" \"\\\"\\\\\\x\"\r\n", "a Login[a b][\"\\x]")]
    [InlineData("a LOGIN \"u\"p\r\n", "a Login[u][p]")]
    // nginx stays inside the quote
    [InlineData("a LOGIN \"u p\r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a LOGIN \"u\rp\" x\r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a LOGIN \"u\np\" x\r\nb NOOP\r\n", "a BAD | * BAD | b Noop")]
    // literals
    [InlineData("a LOGIN {1}\r\nu {1}\r\np\r\n", "+ | + | a Login[u][p]")]
    [InlineData("a LOGIN {1+}\r\nu {1+}\np\n", "a Login[u][p]")]
    [InlineData("a LOGIN {4}\r\n\r\n\0\\ p\r\n", "+ | a Login[\r\n\0\\][p]")]
    [InlineData("a LOGIN u {1}\r\np \r\n", "+ | a Login[u][p]")]
    [InlineData("a LOGIN {001}\r\nu p\r\n", "+ | a Login[u][p]")]
    [InlineData("a LOGIN \"u\"{1+}\r\np\r\n", "a Login[u][p]")]
    [InlineData("a LOGIN {5}\r\n", "+ | …")]
    [InlineData("a LOGIN {1}\r\nu\rx\r\n", "+ | a BAD")]
    [InlineData("a LOGIN {1}\rx\r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a LOGIN {1x}\r\n", "a BAD")]
    [InlineData("a LOGIN {-1}\r\n", "a BAD")]
    [InlineData("a LOGIN {1+x}\r\n", "a BAD")]
    [InlineData("a LOGIN {1}x\r\n", "a BAD")]
    [InlineData("a LOGIN {1} x\r\n", "a BAD")]
    [InlineData("a LOGIN {1++}\r\n", "a BAD")]
    // nginx swallows a byte
    [InlineData("a LOGIN u {0}\r\n\r\n", "+ | a Login[u][]")]
    [InlineData("a LOGIN u {}\r\n\r\n", "+ | a Login[u][]")]
    [InlineData("a LOGIN {0+}\r\n {0+}\r\n\r\n", "a Login[][]")]
    [InlineData("a LOGIN {0}\r\nx p\r\n", "+ | a BAD")]
    // N-21
    [InlineData("a LOGIN {1}\r\nux p\r\nb NOOP\r\n", "+ | a BAD | b Noop")]
    [InlineData("a LOGIN {4}user{4}\r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a LOGIN {99999999999999999999}\r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a LOGIN {4294967297}\r\nb NOOP\r\n", "a BAD | b Noop")]
    // N-22
    [InlineData("a LOGIN {3}\r\nu\\x \"p\\x\"\r\n", "+ | a Login[u\\x][px]")]
    // N-23
    [InlineData("a LOGIN \"u\\\nABCDEFGHIJK LOGIN u p\r\n", "a BAD | ABCDEFGHIJK Login[u][p]")]
    // N-24
    [InlineData("a FOO one two three four five\r\nb NOOP\r\n", "a BAD | b Noop")]
    // N-25: what follows the announcement must not be executed
    [InlineData("a FOO {8+}\r\nb NOOP\r\n", "a BAD close")]
    [InlineData("a FOO {8+}\nb NOOP\r\n", "a BAD close")]
    [InlineData("a LOGIN 1 2 3 {8+}\r\nb NOOP\r\n", "a BAD close")]
    [InlineData("a LOGIN \"u {8+}\r\nb NOOP\r\n", "a BAD close")]
    [InlineData("a LOGIN {99999999999999999999+}\r\nb NOOP\r\n", "a BAD close")]
    [InlineData("%%% {8+}\r\nb NOOP\r\n", "* BAD close")]
    [InlineData("a LOGIN {1}\r\nux {8+}\r\nb NOOP\r\n", "+ | a BAD close")]
    [InlineData("a FOO {8+} \r\nb NOOP\r\n", "a BAD | b Noop")]
    [InlineData("a FOO {8}\r\nb NOOP\r\n", "a BAD | b Noop")]
    public void Parse_EachFragmentation_SameCommands(string input, string expected) =>
        Fragments.AssertAll(expected, input, ImapTranscript.Play);

    [Theory]
    [InlineData("a LOGIN u pass\r\n", 16, "a Login[u][pass]")]
    [InlineData("a LOGIN u passw\r\n", 16, "a TooLong")]
    [InlineData("a LOGIN u pass", 16, "…")]
    [InlineData("a LOGIN u passwd", 16, "a TooLong")]
    [InlineData("a NOOP\r\na NOOP\r\na NOOP\r\n", 8, "a Noop | a Noop | a Noop")]
    [InlineData("averylongtagwithoutend", 16, "* TooLong")]
    [InlineData("a FOO bar baz xyzzy\r\n", 16, "a TooLong")]
    // A literal that cannot fit is refused before the continuation; the line feed behind it counts.
    [InlineData("a LOGIN u {2}\r\npp\n", 18, "+ | a Login[u][pp]")]
    [InlineData("a LOGIN u {3}\r\nb NOOP\r\n", 18, "a BAD | b Noop")]
    [InlineData("a LOGIN u {2+}\r\npp\n", 19, "a Login[u][pp]")]
    [InlineData("a LOGIN u {3+}\r\nppp\r\n", 19, "a BAD close")]
    [InlineData("a LOGIN u {2}\r\npp\r\n", 18, "+ | a TooLong")]
    [InlineData("a LOGIN {2147483647}\r\nb NOOP\r\n", 4096, "a BAD | b Noop")]
    public void Parse_SmallCapacity_BoundsTheCommand(string input, int capacity, string expected) => Fragments.AssertAll(
        expected, input, (bytes, growth) => ImapTranscript.Play(bytes, growth, new ImapCommandParser(capacity)));

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n")]
    [InlineData("POST /a NOOP HTTP/1.0\n")]
    [InlineData("OPTIONS NOOP HTTP/1.1\r\n")]
    [InlineData("CONNECT mail:143 HTTP/1.1\r\n")]
    [InlineData("HEAD / HTTP/2\r\n")]
    [InlineData("PUT / HTTP/1.1\r\n")]
    public void Parse_HttpRequestLine_ClosesWithoutReflection(string input) =>
        Fragments.AssertAll("* BAD close", input, ImapTranscript.Play);

    [Theory]
    [InlineData("GET NOOP\r\n", "GET Noop")]
    [InlineData("GET / HTTP/\r\n", "GET BAD")]
    [InlineData("GET / HTTP/x\r\n", "GET BAD")]
    [InlineData("get / HTTP/1.1\r\n", "get BAD")]
    [InlineData("Host: x\r\n", "* BAD")]
    public void Parse_NearlyHttp_IsNotHttp(string input, string expected) => Fragments.AssertAll(expected, input, ImapTranscript.Play);

    [Fact]
    public void Parse_Invalid_TellsTheReason()
    {
        Assert.Equal(ImapInvalidReason.Syntax, ParseOnce("a FOO\r\n").Reason);
        Assert.Equal(ImapInvalidReason.LiteralTooLarge, ParseOnce("a LOGIN {9999}\r\n").Reason);
        ImapParse http = ParseOnce("GET / HTTP/1.1\r\n");
        Assert.True(http.IsHttpRequest);
        Assert.False(http.TagKnown);
        Assert.Equal(ImapInvalidReason.None, ParseOnce("a NOOP\r\n").Reason);
    }

    /// <summary>It is logged: what is no command may be a password.</summary>
    [Theory]
    [InlineData("a Login user password", "Login")]
    [InlineData("a Login", "")]
    [InlineData("a SECRET password", "")]
    [InlineData("a SECRETpassword", "")]
    public void Verb_TooLongCommand_IsTheCommandOnly(string input, string expected)
    {
        byte[] line = Fragments.Bytes(input);
        ImapCommandParser parser = new(line.Length);
        Assert.Equal(ImapParseStatus.TooLong, parser.Parse(line).Status);
        Assert.Equal(expected, Fragments.Text(parser.Verb.In(line)));
    }

    [Fact]
    public void CopyArgument_OntoItself_Unescapes()
    {
        byte[] line = Fragments.Bytes("a LOGIN \"u\\\"\\\\v\" p\r\n");
        ImapCommandParser parser = new(64);
        parser.Parse(line);
        ByteRange range = parser.Argument(0).Range;
        int length = parser.CopyArgument(0, line, line.AsSpan(range.Offset, range.Length));
        Assert.Equal("u\"\\v", Fragments.Text(line.AsSpan(range.Offset, length)));
        Assert.Throws<ArgumentOutOfRangeException>(() => parser.Argument(2));
    }

    [Fact]
    public void Parse_ByteByByte_LooksAtEachByteTwiceAtMost()
    {
        // Once going forward, once more at the line end for {n+} and HTTP.
        byte[] line = Fragments.Bytes("a LOGIN {3000}\r\n" + new string('x', 3000) + " \"" + new string('y', 900) + "\"\r\n");
        ImapCommandParser parser = new(ImapTranscript.DefaultCapacity);
        string outcome = ImapTranscript.Play(line, [.. Enumerable.Range(1, line.Length)], parser);
        Assert.StartsWith("+ | a Login[xxx", outcome, StringComparison.Ordinal);
        Assert.InRange(parser.ExaminedBytes, 1, 2 * line.Length);
    }

    [Fact]
    public void Parse_LongInvalidLine_LooksAtEachByteTwiceAtMost()
    {
        byte[] line = Fragments.Bytes("a FOO " + new string('{', 2000) + new string('1', 2000) + "+}\r\n");
        ImapCommandParser parser = new(ImapTranscript.DefaultCapacity);
        Assert.Equal("a BAD close", ImapTranscript.Play(line, [.. Enumerable.Range(1, line.Length)], parser));
        Assert.InRange(parser.ExaminedBytes, line.Length, 2 * line.Length);
    }

    [Fact]
    public void Parse_AnyBytes_SameOutcomeHoweverSplit()
    {
        Gen.Select(Fragments.Mostly("a NOOPLOGIN {}+\"\\\r\n\n01 ").Array[0, 60], Gen.Int[1, 80]).Sample((bytes, capacity) =>
        {
            string whole = ImapTranscript.Play(bytes, [bytes.Length], new ImapCommandParser(capacity));
            return Fragments.Ways(bytes.Length).All(
                growth => ImapTranscript.Play(bytes, growth, new ImapCommandParser(capacity)) == whole);
        }, iter: Fragments.Samples);
    }

    [Fact]
    public void Parse_QuotedAndLiteralLogin_RoundTrips()
    {
        Gen<string> quotable = Gen.String[Gen.Char[(char)0x01, (char)0xff].Where(ch => ch is not ('\r' or '\n')), 0, 40];
        Gen<string> any = Gen.String[Gen.Char[(char)0x00, (char)0xff], 0, 40];
        Gen.Select(quotable, any).Sample((user, password) =>
        {
            string quoted = user.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
            byte[] line = Fragments.Bytes($"t LOGIN \"{quoted}\" {{{password.Length}+}}\r\n{password}\r\n");
            return ImapTranscript.Play(line, [line.Length]) == $"t Login[{user}][{password}]";
        });
    }

    private static ImapParse ParseOnce(string line) => new ImapCommandParser(64).Parse(Fragments.Bytes(line));
}
