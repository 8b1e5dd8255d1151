using Postern.Protocol.Sasl;
using Postern.Protocol.Smtp;
using Xunit;

namespace Postern.Protocol.Tests.Smtp;

public class SmtpRepliesTests
{
    private const SaslMechanisms All = SaslMechanisms.Plain | SaslMechanisms.Login | SaslMechanisms.CramMd5 | SaslMechanisms.External;

    [Theory]
    [InlineData("", SaslMechanisms.None, StartTlsOffer.None, "250 mx\r\n")]
    [InlineData("", SaslMechanisms.Plain | SaslMechanisms.Login, StartTlsOffer.None, "250-mx\r\n250 AUTH PLAIN LOGIN\r\n")]
    [InlineData("SIZE_1 X", SaslMechanisms.None, StartTlsOffer.None, "250-mx\r\n250-SIZE 1\r\n250 X\r\n")]
    [InlineData("X", All, StartTlsOffer.Optional, "250-mx\r\n250-X\r\n250-AUTH PLAIN LOGIN CRAM-MD5 EXTERNAL\r\n250 STARTTLS\r\n")]
    [InlineData("", SaslMechanisms.None, StartTlsOffer.Optional, "250-mx\r\n250 STARTTLS\r\n")]
    [InlineData("X", All, StartTlsOffer.Required, "250-mx\r\n250-X\r\n250 STARTTLS\r\n")]
    public void WriteEhlo_EachTlsState_MarksTheLastLine(
        string words, SaslMechanisms mechanisms, StartTlsOffer startTls, string expected)
    {
        byte[][] encoded =
        [
            .. words.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => Fragments.Bytes(word.Replace('_', ' '))),
        ];
        Assert.Equal(expected, Fragments.Written(writer => SmtpReplies.WriteEhlo("mx"u8, encoded, mechanisms, startTls, writer)));
    }

    [Fact]
    public void WriteEhlo_ManyWords_AllThere()
    {
        // N-17
        byte[][] words = [.. Enumerable.Range(0, 300).Select(i => Fragments.Bytes($"WORD{i}"))];
        string reply = Fragments.Written(writer => SmtpReplies.WriteEhlo("mx"u8, words, All, StartTlsOffer.Optional, writer));
        string[] lines = reply.Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(303, lines.Length);
        Assert.Equal("250 STARTTLS", lines[^1]);
        Assert.All(lines[..^1], line => Assert.StartsWith("250-", line, StringComparison.Ordinal));
    }

    [Fact]
    public void WriteOthers_AreNginxs()
    {
        Assert.Equal("220 mx ESMTP ready\r\n", Fragments.Written(writer => SmtpReplies.WriteGreeting("mx"u8, writer)));
        Assert.Equal("250 mx\r\n", Fragments.Written(writer => SmtpReplies.WriteHelo("mx"u8, writer)));
        Assert.Equal("535 5.7.0 no\r\n", Fragments.Written(writer => SmtpReplies.WriteRefused(default, "no"u8, writer)));
        Assert.Equal("450 4.1.1 no\r\n", Fragments.Written(writer => SmtpReplies.WriteRefused("450 4.1.1"u8, "no"u8, writer)));
        Assert.Equal("334 \r\n", Fragments.Written(writer => SaslChallenge.Write(SmtpReplies.ChallengePrefix, default, writer)));
        Assert.Equal(
            "334 VXNlcm5hbWU6\r\n", Fragments.Written(writer => SaslChallenge.Write(SmtpReplies.ChallengePrefix, SaslChallenge.Username, writer)));
        Assert.Equal(
            "+ UGFzc3dvcmQ6\r\n", Fragments.Written(writer => SaslChallenge.Write("+ "u8, SaslChallenge.Password, writer)));
        Assert.Equal("250 2.0.0 OK\r\n"u8, SmtpReplies.Ok);
        Assert.Equal("500 5.5.1 Invalid command\r\n"u8, SmtpReplies.InvalidCommand);
        Assert.Equal("501 5.5.4 Invalid argument\r\n"u8, SmtpReplies.InvalidArgument);
        Assert.Equal("503 5.5.1 Bad sequence of commands\r\n"u8, SmtpReplies.BadSequence);
        Assert.Equal("530 5.7.1 Authentication required\r\n"u8, SmtpReplies.AuthenticationRequired);
        Assert.Equal("503 5.5.0 Improper use of SMTP command pipelining\r\n"u8, SmtpReplies.EarlyTalker);
        Assert.Equal("221 2.0.0 Bye\r\n"u8, SmtpReplies.Bye);
        Assert.Equal("220 2.0.0 Start TLS\r\n"u8, SmtpReplies.StartTls);
        Assert.Equal("235 2.0.0 OK\r\n"u8, SmtpReplies.Authenticated);
        Assert.Equal("451 4.3.2 Internal server error\r\n"u8, SmtpReplies.InternalServerError);
    }
}
