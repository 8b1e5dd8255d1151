using CsCheck;
using Postern.Protocol.Sasl;
using Xunit;

namespace Postern.Protocol.Tests.Sasl;

public class SaslBase64Tests
{
    [Theory]
    [InlineData("AHUAcA==", "\0u\0p")]
    [InlineData("AHUAcA=", "\0u\0p")]
    [InlineData("AHUAcA", "\0u\0p")]
    [InlineData("AHUAcA==*garbage", "\0u\0p")]
    [InlineData("dXNlcg==", "user")]
    [InlineData("YWI=", "ab")]
    [InlineData("+/+/", "\u00fb\u00ff\u00bf")]
    [InlineData("", "")]
    [InlineData("=", "")]
    [InlineData("====", "")]
    [InlineData("=A", "")]
    // unused bits of the last character are not looked at
    [InlineData("YWJ", "ab")]
    public void TryDecode_Accepted(string encoded, string expected)
    {
        byte[] buffer = new byte[SaslBase64.MaxDecodedBytes(encoded.Length)];
        Assert.True(SaslBase64.TryDecode(Fragments.Bytes(encoded), buffer, out int written));
        Assert.Equal(expected, Fragments.Text(buffer.AsSpan(0, written)));
    }

    [Theory]
    [InlineData("*")]
    [InlineData("A")]
    [InlineData("AAAAA")]
    [InlineData("AAAAA===")]
    [InlineData("AA-_")]
    [InlineData("AA A")]
    [InlineData("AAA\u00e9")]
    public void TryDecode_Refused(string encoded)
    {
        Assert.False(SaslBase64.TryDecode(Fragments.Bytes(encoded), new byte[64], out int written));
        Assert.Equal(0, written);
    }

    [Fact]
    public void TryDecode_EachByteValue_OnlyTheAlphabet()
    {
        for (int value = 0; value < 256; value++)
        {
            bool isAlphabet = char.IsAsciiLetterOrDigit((char)value) || value is '+' or '/';
            // '=' ends the text behind "AAA", which is fine.
            Assert.Equal(isAlphabet || value == '=', SaslBase64.TryDecode([65, 65, 65, (byte)value], new byte[3], out _));
        }
    }

    [Fact]
    public void Encode_AnyBytes_RoundTripsInPlace() => Gen.Byte.Array[0, 100].Sample(plain =>
    {
        string encoded = Fragments.Written(writer => SaslBase64.Encode(plain, writer));
        Assert.Equal(Convert.ToBase64String(plain), encoded);
        byte[] buffer = Fragments.Bytes(encoded);
        Assert.True(SaslBase64.TryDecode(buffer, buffer, out int written));
        Assert.Equal(plain, buffer[..written]);
    });

    [Fact]
    public void TryDecode_AnyBytes_NeverWritesPastTheBound() => Fragments.Mostly("AZaz09+/=").Array[0, 60].Sample(bytes =>
    {
        _ = SaslBase64.TryDecode(bytes, new byte[SaslBase64.MaxDecodedBytes(bytes.Length)], out _);
    });
}
