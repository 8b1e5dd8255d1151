using System.Globalization;
using CsCheck;
using Postern.Protocol.ProxyProtocol;
using Xunit;

namespace Postern.Protocol.Tests.ProxyProtocol;

public class ProxyHeaderParserTests
{
    private const string Signature = "\r\n\r\n\0\r\nQUIT\n";
    private const string Inet = "\u0001\u0002\u0003\u0004\u007f\0\0\u0001\u00ea\u0060\0\u008f";

    [Theory]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 60000 143\r\na NOOP\r\n", "v1 1.2.3.4:60000 127.0.0.1:143 +8")]
    [InlineData("PROXY TCP6 ::1 FE80::a 0 65535\r\n", "v1 ::1:0 FE80::a:65535")]
    // the word is not compared with the addresses, which are only a set of characters
    [InlineData("PROXY TCP4 ::1 ::2 1 2\r\n", "v1 ::1:1 ::2:2")]
    [InlineData("PROXY TCP6 999.beef :.: 00001 2\r\n", "v1 999.beef:1 :.::2")]
    [InlineData("PROXY UNKNOWN\r\nx", "v1 none +1")]
    [InlineData("PROXY UNKNOWN ff::1 whatever 1 2\r\n", "v1 none")]
    [InlineData("PROXY UNKNOWNX\r\n", "v1 none")]
    [InlineData("PROXY UNKNOWN a\rb\nc\r\n", "v1 none")]
    // unfinished
    [InlineData("", "NeedMore")]
    [InlineData("PRO", "NeedMore")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 60000 143\r", "NeedMore")]
    [InlineData("PROXY UNKNOWN and more\r", "NeedMore")]
    // broken
    [InlineData("a NOOP\r\n", "BrokenHeader")]
    [InlineData("proxy TCP4 1.2.3.4 127.0.0.1 1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 1 2\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 1 2\rx", "BrokenHeader")]
    [InlineData("PROXY TCP5 1.2.3.4 127.0.0.1 1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY UDP4 1.2.3.4 127.0.0.1 1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY  TCP4 1.2.3.4 127.0.0.1 1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4  127.0.0.1 1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 localhost 1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 65536 2\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 1 99999999999\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 -1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 1 \r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 1\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4 127.0.0.1 1 2 3\r\n", "BrokenHeader")]
    [InlineData("PROXY TCP4 1.2.3.4\t127.0.0.1 1 2\r\n", "BrokenHeader")]
    [InlineData("PROXY UNKNOWX\r\n", "BrokenHeader")]
    public void Parse_Version1_Cases(string input, string expected) => AssertHeader(expected, input);

    [Fact]
    public void Parse_Version1_LineLimit()
    {
        string longest = "PROXY UNKNOWN " + new string('x', 107 - 16) + "\r\n";
        AssertHeader("v1 none", longest);
        AssertHeader("BrokenHeader", longest.Insert(20, "x"));
        AssertHeader("BrokenHeader", "PROXY UNKNOWN " + new string('x', 5000));
    }

    [Theory]
    [InlineData("\u0021\u0011\0\u000c" + Inet + "EHLO", "v2 01020304:60000 7f000001:143 +4")]
    [InlineData("\u0021\u0011\0\u0010" + Inet + "\u0004\0\u0001x", "v2 01020304:60000 7f000001:143 tlv4")]
    // local, datagram, unix and unknown families: skipped
    [InlineData("\u0020\u0011\0\u000c" + Inet, "v2 none")]
    [InlineData("\u0020\0\0\0x", "v2 none +1")]
    [InlineData("\u0020\u0011\0\0", "v2 none")]
    [InlineData("\u0021\u0012\0\u000c" + Inet, "v2 none")]
    [InlineData("\u0021\u0000\0\u0003abc", "v2 none")]
    [InlineData("\u0021\u0031\0\u0003abc", "v2 none")]
    [InlineData("\u0021\u0041\0\u0003abc", "v2 none")]
    // unfinished
    [InlineData("", "NeedMore")]
    [InlineData("\u0021", "NeedMore")]
    [InlineData("\u0021\u0011\0\u000c\u0001", "NeedMore")]
    // refused
    [InlineData("\u0011\u0011\0\u000c" + Inet, "UnknownVersion 1")]
    [InlineData("\u00f1", "UnknownVersion 15")]
    [InlineData("\u0022\u0011\0\u000c" + Inet, "BrokenHeader")]
    [InlineData("\u0021\u0011\0\u000b" + Inet, "AddressBlockTooShort")]
    [InlineData("\u0021\u0021\0\u0023" + Inet, "AddressBlockTooShort")]
    [InlineData("\u0021\u0011\u000f\u00f1" + Inet, "TooLarge")]
    [InlineData("\u0021\u0011\u00ff\u00ff" + Inet, "TooLarge")]
    public void Parse_Version2_Cases(string behindSignature, string expected) => AssertHeader(expected, Signature + behindSignature);

    [Fact]
    public void Parse_Version2Inet6_Addresses()
    {
        string source = new('\u00aa', 16);
        string destination = new('\u00bb', 16);
        AssertHeader(
            $"v2 {new string('a', 32)}:256 {new string('b', 32)}:2 +1",
            $"{Signature}\u0021\u0021\0\u0024{source}{destination}\u0001\0\0\u0002x");
    }

    [Fact]
    public void Parse_Version2ManyTlvs_AcceptedUpTo4096Bytes()
    {
        // N-49
        string tlvs = new('\0', 4096 - 16 - 12);
        AssertHeader($"v2 01020304:60000 7f000001:143 tlv{tlvs.Length} +6", $"{Signature}\u0021\u0011\u000f\u00f0{Inet}{tlvs}a NOOP");
    }

    [Fact]
    public void Parse_WrongSignature_FailsAtTheFirstWrongByte()
    {
        for (int i = 1; i < Signature.Length; i++)
        {
            string wrong = Signature[..i] + "\u00ff";
            Assert.Equal(ProxyHeaderFailure.BrokenHeader, ProxyHeaderParser.Parse(Fragments.Bytes(wrong)).Failure);
            Assert.Equal(ProxyHeaderStatus.NeedMore, ProxyHeaderParser.Parse(Fragments.Bytes(Signature[..i])).Status);
        }
    }

    [Fact]
    public void Parse_AnyBytes_NeverThrowsAndIsStable() => Gen.Select(
        Gen.OneOf(Gen.Const("PROXY "), Gen.Const("PROXY TCP4 "), Gen.Const(Signature),
            Gen.Const(Signature + "\u0021\u0011\0"), Gen.Const("")),
        Fragments.Mostly("TCP46 :.0123456789\r\n\0").Array[0, 120]).Sample((prefix, rest) =>
        {
            byte[] bytes = [.. Fragments.Bytes(prefix), .. rest];
            string whole = Play(bytes, [bytes.Length], out int consumed);
            return Fragments.Ways(bytes.Length).All(growth => Play(bytes, growth, out int other) == whole && other == consumed);
        }, iter: Fragments.Samples);

    [Theory]
    [InlineData(ProxyHeaderFailure.BrokenHeader, "broken header: ")]
    [InlineData(ProxyHeaderFailure.UnknownVersion, "unknown PROXY protocol version: ")]
    [InlineData(ProxyHeaderFailure.TooLarge, "header is too large")]
    [InlineData(ProxyHeaderFailure.AddressBlockTooShort, "")]
    public void FailureText_IsNginxs(ProxyHeaderFailure failure, string expected) =>
        Assert.Equal(expected, Fragments.Text(ProxyHeaderFailureText.Of(failure)));

    [Theory]
    [InlineData("EHLO x\r\nNOOP\r\n", "EHLO x")]
    [InlineData("EHLO\nx", "EHLO")]
    [InlineData("partial", "partial")]
    [InlineData("", "")]
    public void FirstLine_EndsAtTheLineEnd(string received, string expected) =>
        Assert.Equal(expected, Fragments.Text(ProxyHeaderFailureText.FirstLine(Fragments.Bytes(received))));

    [Fact]
    public void FirstLine_LongLine_IsCut() => Assert.Equal(107, ProxyHeaderFailureText.FirstLine(new byte[5000]).Length);

    private static void AssertHeader(string expected, string input) => Fragments.AssertAll(expected, input, (bytes, growth) =>
    {
        string outcome = Play(bytes, growth, out int consumed);
        return consumed > 0 && consumed < bytes.Length ? $"{outcome} +{bytes.Length - consumed}" : outcome;
    });

    private static string Play(byte[] input, IReadOnlyList<int> growth, out int consumed)
    {
        consumed = 0;
        foreach (int length in growth)
        {
            byte[] buffer = input[..length];
            ProxyHeaderParse parse = ProxyHeaderParser.Parse(buffer);
            if (parse.Status != ProxyHeaderStatus.NeedMore)
            {
                consumed = parse.Consumed;
                return Describe(parse, buffer);
            }
        }

        return "NeedMore";
    }

    private static string Describe(ProxyHeaderParse parse, byte[] buffer)
    {
        if (parse.Status == ProxyHeaderStatus.Failed)
        {
            return parse.Failure == ProxyHeaderFailure.UnknownVersion
                ? string.Create(CultureInfo.InvariantCulture, $"UnknownVersion {parse.Version}")
                : parse.Failure.ToString();
        }

        string Address(ByteRange range) => parse.AddressKind == ProxyAddressKind.Text
            ? Fragments.Text(range.In(buffer))
            : Convert.ToHexStringLower(range.In(buffer));
        string addresses = parse.AddressKind == ProxyAddressKind.None
            ? "none"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{Address(parse.Source)}:{parse.SourcePort} {Address(parse.Destination)}:{parse.DestinationPort}");
        string tlvs = parse.Tlvs.Length > 0 ? string.Create(CultureInfo.InvariantCulture, $" tlv{parse.Tlvs.Length}") : "";
        return string.Create(CultureInfo.InvariantCulture, $"v{parse.Version} {addresses}{tlvs}");
    }
}
