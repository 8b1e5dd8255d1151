using Postern.Protocol.Imap;
using Postern.Protocol.Sasl;
using Xunit;

namespace Postern.Protocol.Tests.Imap;

public class ImapRepliesTests
{
    private const SaslMechanisms All = SaslMechanisms.Plain | SaslMechanisms.Login | SaslMechanisms.CramMd5 | SaslMechanisms.External;

    [Theory]
    [InlineData("IMAP4 IMAP4rev1 UIDPLUS", SaslMechanisms.Plain, StartTlsOffer.None, "* CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN\r\n")]
    [InlineData("IMAP4", All, StartTlsOffer.None, "* CAPABILITY IMAP4 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=EXTERNAL\r\n")]
    [InlineData("IMAP4", All, StartTlsOffer.Optional, "* CAPABILITY IMAP4 AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=EXTERNAL STARTTLS\r\n")]
    [InlineData("IMAP4", All, StartTlsOffer.Required, "* CAPABILITY IMAP4 STARTTLS LOGINDISABLED\r\n")]
    [InlineData("IMAP4 STARTTLS", SaslMechanisms.None, StartTlsOffer.Optional, "* CAPABILITY IMAP4 STARTTLS STARTTLS\r\n")]
    [InlineData("", SaslMechanisms.Plain, StartTlsOffer.None, "* CAPABILITY AUTH=PLAIN\r\n")]
    public void WriteCapability_EachTlsState_ListsWhatApplies(
        string words, SaslMechanisms mechanisms, StartTlsOffer startTls, string expected)
    {
        byte[][] encoded = [.. words.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Fragments.Bytes)];
        Assert.Equal(expected, Fragments.Written(writer => ImapReplies.WriteCapability(encoded, mechanisms, startTls, writer)));
    }

    [Fact]
    public void WriteReplies_WithAndWithoutTag()
    {
        Assert.Equal("A1 OK completed\r\n", Fragments.Written(writer => ImapReplies.WriteCompleted("A1"u8, writer)));
        Assert.Equal("A1 BAD invalid command\r\n", Fragments.Written(writer => ImapReplies.WriteInvalidCommand("A1"u8, writer)));
        Assert.Equal("* BAD invalid command\r\n", Fragments.Written(writer => ImapReplies.WriteInvalidCommand(default, writer)));
        Assert.Equal("A1 NO Bad things\r\n", Fragments.Written(writer => ImapReplies.WriteRefused("A1"u8, "Bad things"u8, writer)));
    }

    [Fact]
    public void FixedTexts_AreNginxs()
    {
        Assert.Equal("* OK IMAP4 ready\r\n"u8, ImapReplies.Greeting);
        Assert.Equal("+ OK\r\n"u8, ImapReplies.LiteralContinuation);
        Assert.Equal("+ "u8, ImapReplies.ChallengePrefix);
        Assert.Equal("* BYE\r\n"u8, ImapReplies.Bye);
        Assert.Equal("* BAD internal server error\r\n"u8, ImapReplies.InternalServerError);
        Assert.Equal("* BYE SSL certificate error\r\n"u8, ImapReplies.CertificateBad);
        Assert.Equal("* BYE No required SSL certificate\r\n"u8, ImapReplies.CertificateMissing);
    }
}
