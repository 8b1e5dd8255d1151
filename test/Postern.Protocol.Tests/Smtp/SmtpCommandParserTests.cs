using CsCheck;
using Postern.Protocol.Smtp;
using Xunit;

namespace Postern.Protocol.Tests.Smtp;

public class SmtpCommandParserTests
{
    [Theory]
    [InlineData("EHLO cli\r\n", "Ehlo[cli]")]
    [InlineData("helo cli\nQuit\n", "Helo[cli] | Quit")]
    [InlineData("StartTLS\r\nAUTH PLAIN x\r\n", "StartTls | Auth[PLAIN][x]")]
    [InlineData("VRFY a\r\nEXPN\r\nHELP\r\nNOOP\r\nRSET\r\n", "Vrfy[a] | Expn | Help | Noop | Rset")]
    [InlineData("MAIL FROM:<a@b>  SIZE=3 \r\n", "Mail[FROM:<a@b>][SIZE=3]")]
    [InlineData("MAIL FROM: <a b>\r\n", "Mail[FROM:][<a][b>]")]
    [InlineData("RCPT TO:<\u00ff\u0000\t>\r\n", "Rcpt[TO:<\u00ff\u0000\t>]")]
    [InlineData("MAIL 1 2 3 4 5 6 7 8 9 10 11\r\n", "Mail[1][2][3][4][5][6][7][8][9][10][11]")]
    [InlineData("MAIL 1 2 3 4 5 6 7 8 9 10 11 12\r\nNOOP\r\n", "bad | Noop")]
    [InlineData("DATA\r\nXCLIENT NAME=x\r\nSTARTTL\r\nBDAT\r\nEHLOS x\r\n", "bad | bad | bad | bad | bad")]
    [InlineData("\r\n NOOP\r\n", "bad | bad")]
    [InlineData("MAIL:FROM\r\nNOOP\tx\r\n", "bad | bad")]
    [InlineData("NOOP\rx\r\nMAIL a\rb\r\nRSET\r\n", "bad | bad | Rset")]
    [InlineData("QUIT\r", "…")]
    // N-24
    [InlineData("FOO one two three\r\nNOOP\r\n", "bad | Noop")]
    [InlineData("POST / HTTP/1.1\r\nEHLO x\r\n", "http")]
    [InlineData("CONNECT mx:25 HTTP/1.0\n", "http")]
    public void Parse_EachFragmentation_SameCommands(string input, string expected) => Fragments.AssertAll(
        expected, input, (bytes, growth) => CommandLineTranscript.Play(bytes, growth, new SmtpCommandParser(CommandLineTranscript.DefaultCapacity)));

    [Theory]
    [InlineData("MAIL FROM:<a@b>  SIZE=3 \r\n", "MAIL FROM:<a@b>  SIZE=3")]
    [InlineData("rcpt  to:<c@d>\n", "rcpt  to:<c@d>")]
    [InlineData("Mail\r\n", "Mail")]
    [InlineData("MAIL   \r\n", "MAIL")]
    public void Text_IsTheCommandWithoutItsEnd(string input, string expected)
    {
        byte[] line = Fragments.Bytes(input);
        SmtpCommandParser parser = new(64);
        Assert.Equal(CommandLineStatus.Complete, parser.Parse(line).Status);
        Assert.Equal(expected, Fragments.Text(parser.Text.In(line)));
    }

    [Fact]
    public void Parse_AnyBytes_SameOutcomeHoweverSplit() =>
        Gen.Select(Fragments.Mostly("MAILRSETSTARTTLS:<>  \r\n\n").Array[0, 60], Gen.Int[1, 80]).Sample((bytes, capacity) =>
        {
            string whole = CommandLineTranscript.Play(bytes, [bytes.Length], new SmtpCommandParser(capacity));
            return Fragments.Ways(bytes.Length).All(
                growth => CommandLineTranscript.Play(bytes, growth, new SmtpCommandParser(capacity)) == whole);
        }, iter: Fragments.Samples);
}
