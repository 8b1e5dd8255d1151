using CsCheck;
using Postern.Protocol.Pop3;
using Xunit;

namespace Postern.Protocol.Tests.Pop3;

public class Pop3CommandParserTests
{
    [Theory]
    [InlineData("NOOP\r\n", "Noop")]
    [InlineData("noop\n", "Noop")]
    [InlineData("Capa\r\nsTLS\r\nQUIT\r\n", "Capa | Stls | Quit")]
    [InlineData("AUTH\r\n", "Auth")]
    [InlineData("AUTH PLAIN AHUAcA==\r\n", "Auth[PLAIN][AHUAcA==]")]
    [InlineData("APOP  name   0123 \r\n", "Apop[name][0123]")]
    [InlineData("APOP a b c\r\n", "Apop[a][b][c]")]
    [InlineData("APOP a b c d\r\nNOOP\r\n", "bad | Noop")]
    // USER and PASS take the rest of the line
    [InlineData("USER  a b \r\n", "User[a b ]")]
    [InlineData("PASS a  b c d e\r\n", "Pass[a  b c d e]")]
    [InlineData("USER a\tb\n", "User[a\tb]")]
    [InlineData("PASS \u0000\u00ff\u0001\r\n", "Pass[\u0000\u00ff\u0001]")]
    [InlineData("USER\r\n", "User")]
    [InlineData("PASS   \r\n", "Pass")]
    // what is no command
    [InlineData("\r\n\n", "bad | bad")]
    [InlineData(" NOOP\r\n", "bad")]
    [InlineData("NOO\r\nNOOPS\r\n", "bad | bad")]
    [InlineData("NOOP\tx\r\n", "bad")]
    [InlineData("N-OP\r\n", "bad")]
    [InlineData("STAT\r\nRETR 1\r\n", "bad | bad")]
    [InlineData("NOOP 1 2 3 4\r\n", "bad")]
    [InlineData("\u00e9\u00e9\u00e9\u00e9\r\n", "bad")]
    // line ends
    [InlineData("NOOP\rx\r\nNOOP\r\n", "bad | Noop")]
    [InlineData("NOOP\r\r\nNOOP\r\n", "bad | Noop")]
    [InlineData("USER a\rb\r\nNOOP\r\n", "bad | Noop")]
    [InlineData("USER a\r", "…")]
    [InlineData("USER a", "…")]
    // N-24
    [InlineData("FOO one two three four five\r\nNOOP\r\n", "bad | Noop")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n", "http")]
    [InlineData("GET / HTTP/\r\nNOOP\r\n", "bad | Noop")]
    public void Parse_EachFragmentation_SameCommands(string input, string expected) => Fragments.AssertAll(
        expected, input, (bytes, growth) => CommandLineTranscript.Play(bytes, growth, new Pop3CommandParser(CommandLineTranscript.DefaultCapacity)));

    [Theory]
    [InlineData("USER abcdefghi\r\n", 16, "User[abcdefghi]")]
    [InlineData("USER abcdefghij\r\n", 16, "TooLong")]
    [InlineData("USER abcdefghij", 16, "…")]
    [InlineData("XXXXXXXXXXXXXXXXXXXX", 16, "TooLong")]
    [InlineData("NOOP\r\nNOOP\r\nNOOP\r\n", 6, "Noop | Noop | Noop")]
    public void Parse_SmallCapacity_BoundsTheCommand(string input, int capacity, string expected) => Fragments.AssertAll(
        expected, input, (bytes, growth) => CommandLineTranscript.Play(bytes, growth, new Pop3CommandParser(capacity)));

    /// <summary>It is logged: what is no command may be a password.</summary>
    [Theory]
    [InlineData("Pass secret words", "Pass")]
    [InlineData("PASSsecret", "")]
    [InlineData("SECRET words", "")]
    [InlineData("c2VjcmV0", "")]
    public void Verb_TooLongCommand_IsTheCommandOnly(string input, string expected)
    {
        byte[] line = Fragments.Bytes(input);
        Pop3CommandParser parser = new(line.Length);
        Assert.Equal(CommandLineStatus.TooLong, parser.Parse(line).Status);
        Assert.Equal(expected, Fragments.Text(parser.Verb.In(line)));
    }

    [Fact]
    public void Parse_LongInvalidLine_LooksAtEachByteTwiceAtMost()
    {
        byte[] line = Fragments.Bytes("FOO " + new string('x', 400) + "\r\n");
        Pop3CommandParser parser = new(CommandLineTranscript.DefaultCapacity);
        Assert.Equal("bad", CommandLineTranscript.Play(line, [.. Enumerable.Range(1, line.Length)], parser));
        Assert.InRange(parser.ExaminedBytes, line.Length, 2 * line.Length);
    }

    [Fact]
    public void Parse_AnyBytes_SameOutcomeHoweverSplit() =>
        Gen.Select(Fragments.Mostly("NOUSERPA  \r\n\n").Array[0, 60], Gen.Int[1, 80]).Sample((bytes, capacity) =>
        {
            string whole = CommandLineTranscript.Play(bytes, [bytes.Length], new Pop3CommandParser(capacity));
            return Fragments.Ways(bytes.Length).All(
                growth => CommandLineTranscript.Play(bytes, growth, new Pop3CommandParser(capacity)) == whole);
        }, iter: Fragments.Samples);
}
