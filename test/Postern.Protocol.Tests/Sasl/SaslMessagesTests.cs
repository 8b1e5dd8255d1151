using CsCheck;
using Postern.Protocol.Sasl;
using Xunit;

namespace Postern.Protocol.Tests.Sasl;

public class SaslMessagesTests
{
    private const string Digest = "0123456789abcdef0123456789abcdeX";

    [Theory]
    [InlineData("\0user\0pass", "user", "pass")]
    [InlineData("admin\0user\0pass", "user", "pass")]
    [InlineData("\0\0", "", "")]
    [InlineData("\0u\0", "u", "")]
    [InlineData("\0u\0p\0q", "u", "p\0q")]
    public void Plain_Accepted(string decoded, string authcid, string password)
    {
        byte[] bytes = Fragments.Bytes(decoded);
        Assert.Equal(SaslFault.None, PlainMessage.TryParse(bytes, out PlainMessage message));
        Assert.Equal(authcid, Fragments.Text(message.Authcid.In(bytes)));
        Assert.Equal(password, Fragments.Text(message.Password.In(bytes)));
    }

    [Theory]
    [InlineData("", SaslFault.InvalidLogin)]
    [InlineData("user", SaslFault.InvalidLogin)]
    [InlineData("user\0", SaslFault.InvalidLogin)]
    [InlineData("\0", SaslFault.InvalidLogin)]
    [InlineData("\0user", SaslFault.InvalidPassword)]
    [InlineData("a\0user", SaslFault.InvalidPassword)]
    public void Plain_Refused(string decoded, SaslFault expected)
    {
        Assert.Equal(expected, PlainMessage.TryParse(Fragments.Bytes(decoded), out PlainMessage message));
        Assert.Equal(default, message);
    }

    [Theory]
    [InlineData("user " + Digest, "user")]
    [InlineData(" " + Digest, "")]
    public void CramMd5_Accepted(string decoded, string login)
    {
        byte[] bytes = Fragments.Bytes(decoded);
        Assert.Equal(SaslFault.None, CramMd5Message.TryParse(bytes, out CramMd5Message message));
        Assert.Equal(login, Fragments.Text(message.Login.In(bytes)));
        Assert.Equal(Digest, Fragments.Text(message.Digest.In(bytes)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("user")]
    [InlineData(Digest)]
    [InlineData("user " + Digest + "0")]
    [InlineData("user  " + Digest)]
    [InlineData("user name " + Digest)]
    [InlineData("user 0123")]
    public void CramMd5_Refused(string decoded)
    {
        Assert.Equal(SaslFault.InvalidHash, CramMd5Message.TryParse(Fragments.Bytes(decoded), out CramMd5Message message));
        Assert.Equal(default, message);
    }

    [Fact]
    public void Messages_AnyBytes_NeverThrow() => Fragments.Mostly("\0 \0 a").Array[0, 50].Sample(bytes =>
    {
        _ = PlainMessage.TryParse(bytes, out PlainMessage plain);
        _ = plain.Authcid.In(bytes).Length + plain.Password.In(bytes).Length;
        _ = CramMd5Message.TryParse(bytes, out CramMd5Message cram);
        _ = cram.Login.In(bytes).Length + cram.Digest.In(bytes).Length;
    });

    [Theory]
    [InlineData(SaslFault.InvalidBase64, SaslMechanism.Login, "client sent invalid base64 encoding in AUTH LOGIN command")]
    [InlineData(SaslFault.InvalidBase64, SaslMechanism.External, "client sent invalid base64 encoding in AUTH EXTERNAL command")]
    [InlineData(SaslFault.InvalidLogin, SaslMechanism.Plain, "client sent invalid login in AUTH PLAIN command")]
    [InlineData(SaslFault.InvalidPassword, SaslMechanism.Plain, "client sent invalid password in AUTH PLAIN command")]
    [InlineData(SaslFault.InvalidHash, SaslMechanism.CramMd5, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")]
    public void FaultText_IsNginxs(SaslFault fault, SaslMechanism mechanism, string expected)
    {
        byte[] text = new byte[64];
        Assert.Equal(expected, Fragments.Text(text.AsSpan(0, SaslFaultText.Write(fault, mechanism, text))));
    }

    [Theory]
    [InlineData("PLAIN", SaslMechanism.Plain)]
    [InlineData("login", SaslMechanism.Login)]
    [InlineData("Cram-Md5", SaslMechanism.CramMd5)]
    [InlineData("EXTERNAL", SaslMechanism.External)]
    [InlineData("PLAINX", SaslMechanism.Unknown)]
    [InlineData("GSSAPI", SaslMechanism.Unknown)]
    [InlineData("", SaslMechanism.Unknown)]
    public void MechanismName_Parse(string name, SaslMechanism expected) =>
        Assert.Equal(expected, SaslMechanismName.Parse(Fragments.Bytes(name)));

    [Theory]
    [InlineData(1774840456u, 1795360932L, "<1774840456.1795360932@mx.example.test>")]
    [InlineData(uint.MaxValue, 0L, "<2147483647.0@mx.example.test>")]
    [InlineData(0x80000000u, long.MaxValue, "<0.9223372036854775807@mx.example.test>")]
    public void Salt_HasTheFormOfTheReference(uint random, long seconds, string expected) =>
        Assert.Equal(expected, Fragments.Text(SaslSalt.Create(random, seconds, "mx.example.test"u8)));
}
