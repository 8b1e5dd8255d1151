using Postern.Protocol.Pop3;
using Postern.Protocol.Sasl;
using Xunit;

namespace Postern.Protocol.Tests.Pop3;

public class Pop3RepliesTests
{
    private const SaslMechanisms All = SaslMechanisms.Plain | SaslMechanisms.Login | SaslMechanisms.CramMd5 | SaslMechanisms.External;

    [Theory]
    [InlineData("TOP USER UIDL", All, StartTlsOffer.None, "TOP\r\nUSER\r\nUIDL\r\nSASL PLAIN LOGIN CRAM-MD5 EXTERNAL\r\n.\r\n")]
    [InlineData("TOP", SaslMechanisms.Plain, StartTlsOffer.Optional, "TOP\r\nSASL PLAIN\r\nSTLS\r\n.\r\n")]
    [InlineData("TOP uSeR USERS", All, StartTlsOffer.Required, "TOP\r\nUSERS\r\nSTLS\r\n.\r\n")]
    // N-48
    [InlineData("", SaslMechanisms.None, StartTlsOffer.None, "SASL\r\n.\r\n")]
    public void WriteCapabilities_EachTlsState_ListsWhatApplies(
        string words, SaslMechanisms mechanisms, StartTlsOffer startTls, string expected)
    {
        byte[][] encoded = [.. words.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Fragments.Bytes)];
        Assert.Equal(
            "+OK Capability list follows\r\n" + expected,
            Fragments.Written(writer => Pop3Replies.WriteCapabilities(encoded, mechanisms, startTls, writer)));
    }

    [Fact]
    public void WriteMechanisms_ListsThemInOrder()
    {
        Assert.Equal(
            "+OK methods supported:\r\nPLAIN\r\nLOGIN\r\nCRAM-MD5\r\nEXTERNAL\r\n.\r\n",
            Fragments.Written(writer => Pop3Replies.WriteMechanisms(All, writer)));
        Assert.Equal(
            "+OK methods supported:\r\n.\r\n", Fragments.Written(writer => Pop3Replies.WriteMechanisms(SaslMechanisms.None, writer)));
    }

    [Fact]
    public void WriteOthers_AreNginxs()
    {
        Assert.Equal("+OK POP3 ready <1.2@n>\r\n", Fragments.Written(writer => Pop3Replies.WriteGreeting("<1.2@n>"u8, writer)));
        Assert.Equal("-ERR Bad things\r\n", Fragments.Written(writer => Pop3Replies.WriteRefused("Bad things"u8, writer)));
        Assert.Equal("+OK POP3 ready\r\n"u8, Pop3Replies.Greeting);
        Assert.Equal("+OK\r\n"u8, Pop3Replies.Ok);
        Assert.Equal("-ERR invalid command\r\n"u8, Pop3Replies.InvalidCommand);
        Assert.Equal("-ERR internal server error\r\n"u8, Pop3Replies.InternalServerError);
    }

    [Theory]
    [InlineData("+OK ready\r\n", UpstreamOutcome.Accepted)]
    [InlineData("+OK\r\n", UpstreamOutcome.Accepted)]
    [InlineData("+OK\n", UpstreamOutcome.NeedMore)]
    [InlineData("+OK\r", UpstreamOutcome.NeedMore)]
    [InlineData("-ERR no\r\n", UpstreamOutcome.Refused)]
    [InlineData("+ok\r\n", UpstreamOutcome.Refused)]
    [InlineData("* OK imap\r\n", UpstreamOutcome.Refused)]
    public void UpstreamReply_Cases(string reply, UpstreamOutcome expected) =>
        Assert.Equal(expected, Pop3Upstream.Reply(Fragments.Bytes(reply)).Outcome);

    [Fact]
    public void CanCarry_EveryByte()
    {
        //
        for (int value = 0; value < 256; value++)
        {
            Assert.Equal(value is not (0 or '\r' or '\n'), Pop3Upstream.CanCarry([(byte)'u', (byte)value, (byte)'x']));
        }

        Assert.Equal("USER u p\r\n", Fragments.Written(writer => Pop3Upstream.WriteCommand("USER "u8, "u p"u8, writer)));
    }
}
