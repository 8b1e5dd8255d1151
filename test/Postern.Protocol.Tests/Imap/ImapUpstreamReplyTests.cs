using CsCheck;
using Postern.Protocol.Imap;
using Xunit;

namespace Postern.Protocol.Tests.Imap;

public class ImapUpstreamReplyTests
{
    [Theory]
    [InlineData("* OK ready\r\n", "Accepted")]
    [InlineData("* OK\r\n", "Accepted")]
    [InlineData("* OK x\r\n* OK y\r\n", "Accepted")]
    [InlineData("* PREAUTH hi\r\n", "Refused: * PREAUTH hi")]
    [InlineData("* BYE go away\r\n", "Refused: * BYE go away")]
    [InlineData("* ok ready\r\n", "Refused: * ok ready")]
    [InlineData("+OK pop\r\n", "Refused: +OK pop")]
    [InlineData("* OK ready\n", "NeedMore")]
    [InlineData("* OK ready\r", "NeedMore")]
    [InlineData("x\r\n", "NeedMore")]
    [InlineData("", "NeedMore")]
    public void Greeting_Cases(string reply, string expected) => AssertGrowing(expected, reply, ImapUpstreamReply.Greeting);

    [Theory]
    // N-30: four bytes are a whole continuation
    [InlineData("+ \r\n", "Accepted")]
    [InlineData("+ go ahead\r\n", "Accepted")]
    [InlineData("+\r\n", "NeedMore")]
    [InlineData("a BAD no\r\n", "Refused: a BAD no")]
    public void Continuation_Cases(string reply, string expected) => AssertGrowing(expected, reply, ImapUpstreamReply.Continuation);

    [Theory]
    [InlineData("a1 OK logged in\r\n", "Accepted")]
    [InlineData("a1 OK\r\n", "Accepted")]
    // N-31, in one segment and (by growing) in two
    [InlineData("* CAPABILITY IMAP4rev1\r\na1 OK logged in\r\n", "Accepted")]
    [InlineData("* CAPABILITY IMAP4rev1\r\n", "NeedMore")]
    [InlineData("* CAPABILITY IMAP4rev1\r\na1 NO [ALERT] x\r\n", "Refused: NO [ALERT] x")]
    [InlineData("* X\r\n* Y\r\na1 OK x\r\n", "Refused: * Y\r\na1 OK x")]
    [InlineData("a1 NO [AUTHENTICATIONFAILED] bad\r\n", "Refused: NO [AUTHENTICATIONFAILED] bad")]
    [InlineData("a1 ok x\r\n", "Refused: ok x")]
    [InlineData("a OK x\r\n", "Refused: a OK x")]
    [InlineData("a11 OK x\r\n", "Refused: a11 OK x")]
    [InlineData("+ more?\r\n", "Refused: + more?")]
    [InlineData("a1\r\n", "Refused: a1")]
    public void Login_Cases(string reply, string expected) =>
        AssertGrowing(expected, reply, bytes => ImapUpstreamReply.Login(bytes, "a1"u8));

    [Fact]
    public void Login_AnyBytes_NeverThrows() => Fragments.Mostly("* a1OK+\r\n\r\n").Array[0, 40].Sample(bytes =>
    {
        foreach (UpstreamReply result in (UpstreamReply[])[
            ImapUpstreamReply.Greeting(bytes), ImapUpstreamReply.Continuation(bytes), ImapUpstreamReply.Login(bytes, "a1"u8)])
        {
            Assert.False(result.LogText.In(bytes).EndsWith("\n"u8));
        }
    });

    private static void AssertGrowing(string expected, string reply, ReplyParser parse)
    {
        // Byte by byte the first outcome other than NeedMore must come at a line end and, for these cases, decide the same or wait.
        byte[] bytes = Fragments.Bytes(reply);
        for (int length = 0; length < bytes.Length; length++)
        {
            byte[] head = bytes[..length];
            Assert.True(parse(head).Outcome == UpstreamOutcome.NeedMore || head.AsSpan().EndsWith("\r\n"u8));
        }

        UpstreamReply result = parse(bytes);
        string text = result.Outcome == UpstreamOutcome.Refused
            ? $"{result.Outcome}: {Fragments.Text(result.LogText.In(bytes))}"
            : result.Outcome.ToString();
        Assert.Equal(expected, text);
    }

    private delegate UpstreamReply ReplyParser(ReadOnlySpan<byte> buffered);
}
