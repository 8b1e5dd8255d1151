using CsCheck;
using Postern.Protocol.Smtp;
using Xunit;

namespace Postern.Protocol.Tests.Smtp;

public class SmtpUpstreamTests
{
    [Theory]
    [InlineData("250 ok\r\n", UpstreamOutcome.Accepted)]
    [InlineData("220 also\r\n", UpstreamOutcome.Accepted)]
    [InlineData("250\r\n", UpstreamOutcome.Accepted)]
    [InlineData("550 no\r\n", UpstreamOutcome.Refused)]
    [InlineData("2500\r\n", UpstreamOutcome.Accepted)]
    [InlineData("25\r\n", UpstreamOutcome.Refused)]
    [InlineData("250 ok\n", UpstreamOutcome.NeedMore)]
    [InlineData("250", UpstreamOutcome.NeedMore)]
    // N-32
    [InlineData("250-a\r\n", UpstreamOutcome.NeedMore)]
    [InlineData("250-a\r\n250-b\r\n", UpstreamOutcome.NeedMore)]
    [InlineData("250-a\r\n250-b\r\n250 c\r\n", UpstreamOutcome.Accepted)]
    [InlineData("250-a\r\n550 c\r\n", UpstreamOutcome.Accepted)]
    [InlineData("550-a\r\n250 c\r\n", UpstreamOutcome.Refused)]
    [InlineData("250-a\r\nx\r\n", UpstreamOutcome.Accepted)]
    public void Reply_Cases(string reply, UpstreamOutcome expected) =>
        Assert.Equal(expected, SmtpUpstream.Reply(Fragments.Bytes(reply), "220"u8, "250"u8).Outcome);

    [Fact]
    public void Reply_AnyCode_AcceptsAll() =>
        Assert.Equal(UpstreamOutcome.Accepted, SmtpUpstream.Reply("554 no\r\n"u8, default).Outcome);

    [Fact]
    public void Reply_AnyBytes_NeverThrows() => Fragments.Mostly("250- 220\r\n\r\n").Array[0, 40].Sample(bytes =>
        Assert.False(SmtpUpstream.Reply(bytes, "250"u8).LogText.In(bytes).EndsWith("\n"u8)));

    [Fact]
    public void Reply_RefusedInSeveralLines_LogHasThemAll()
    {
        byte[] reply = Fragments.Bytes("554-5.7.1 Listed\r\n554 see there\r\n");
        Assert.Equal("554-5.7.1 Listed\r\n554 see there", Fragments.Text(SmtpUpstream.Reply(reply, "250"u8).LogText.In(reply)));
    }

    [Theory]
    [InlineData(false, "", "XCLIENT ADDR=1.2.3.4 NAME=[UNAVAILABLE]\r\n")]
    [InlineData(false, "user", "XCLIENT ADDR=1.2.3.4 LOGIN=user NAME=[UNAVAILABLE]\r\n")]
    // N-38
    [InlineData(true, "", "XCLIENT ADDR=IPV6:1.2.3.4 NAME=[UNAVAILABLE]\r\n")]
    // N-05
    [InlineData(false, "u+= \r\n\0\u00e9", "XCLIENT ADDR=1.2.3.4 LOGIN=u+2B+3D+20+0D+0A+00+E9 NAME=[UNAVAILABLE]\r\n")]
    public void WriteXClient_IsOneLine(bool isIPv6, string login, string expected) => Assert.Equal(
        expected,
        Fragments.Written(writer => SmtpUpstream.WriteXClient("1.2.3.4"u8, isIPv6, Fragments.Bytes(login), "[UNAVAILABLE]"u8, writer)));

    [Fact]
    public void WriteCommands_AsNginxSendsThem()
    {
        Assert.Equal("EHLO mx\r\n", Fragments.Written(writer => SmtpUpstream.WriteHelo(true, "mx"u8, writer)));
        Assert.Equal("HELO mx\r\n", Fragments.Written(writer => SmtpUpstream.WriteHelo(false, "mx"u8, writer)));
        Assert.Equal("AUTH PLAIN AHUAcA==\r\n", Fragments.Written(writer => SmtpUpstream.WriteAuthPlain("u"u8, "p"u8, writer)));
    }
}
