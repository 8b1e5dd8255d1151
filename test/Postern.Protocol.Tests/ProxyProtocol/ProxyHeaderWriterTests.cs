using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using CsCheck;
using Postern.Protocol.ProxyProtocol;
using Xunit;

namespace Postern.Protocol.Tests.ProxyProtocol;

public class ProxyHeaderWriterTests
{
    [Theory]
    [InlineData("1.2.3.4", "127.0.0.1", "PROXY TCP4 1.2.3.4 127.0.0.1 60000 143\r\n")]
    [InlineData("2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 60000 143\r\n")]
    [InlineData("1.2.3.4", "::1", "PROXY TCP4 1.2.3.4 ::1 60000 143\r\n")]
    [InlineData("::ffff:1.2.3.4", "127.0.0.1", "PROXY TCP6 ::ffff:1.2.3.4 127.0.0.1 60000 143\r\n")]
    [InlineData("", "127.0.0.1", "PROXY UNKNOWN\r\n")]
    [InlineData("1.2.3.4", "", "PROXY UNKNOWN\r\n")]
    public void WriteVersion1_Families(string client, string local, string expected) =>
        Assert.Equal(expected, Fragments.Written(writer => ProxyHeaderWriter.WriteVersion1(Facts(client, local), writer)));

    [Theory]
    [InlineData("1.2.3.4", "127.0.0.1", "21110013" + "01020304" + "7f000001" + "ea60008f")]
    [InlineData("1.2.3.4", "::1", "2121002b" + "00000000000000000000ffff01020304" + "00000000000000000000000000000001" + "ea60008f")]
    [InlineData("::1", "127.0.0.1", "2121002b" + "00000000000000000000000000000001" + "00000000000000000000ffff7f000001" + "ea60008f")]
    [InlineData("::ffff:1.2.3.4", "::ffff:127.0.0.1", "21110013" + "01020304" + "7f000001" + "ea60008f")]
    [InlineData("", "127.0.0.1", "20000007")]
    [InlineData("1.2.3.4", "", "20000007")]
    public void WriteVersion2_NoTls_AddressesAndChecksum(string client, string local, string expectedBehindSignature)
    {
        byte[] header = Version2(Facts(client, local));
        Assert.Equal(
            "0d0a0d0a000d0a515549540a" + expectedBehindSignature + "030004", Convert.ToHexStringLower(header.AsSpan(0, header.Length - 4)));
        AssertChecksum(header);
    }

    [Fact]
    public void WriteVersion2_Tls_TlvsInOrder()
    {
        ProxyTlsFacts tls = new()
        {
            ServerName = "mx.test"u8.ToArray(),
            Alpn = "imap"u8.ToArray(),
            Version = "TLSv1.3",
            Cipher = "TLS_AES_128_GCM_SHA256",
            SignatureAlgorithm = "RSA-SHA256",
            KeyAlgorithm = "RSA2048",
            CertificateInSession = true,
            CertificateInConnection = true,
            Verify = 18,
            CommonName = "me"u8.ToArray(),
        };
        byte[] header = Version2(Facts("1.2.3.4", "127.0.0.1") with { Tls = tls });
        Assert.Equal(
            ["02:mx.test", "01:imap", "20:07 00000012", "21:TLSv1.3", "22:me", "23:TLS_AES_128_GCM_SHA256", "24:RSA-SHA256",
                "25:RSA2048", "03"],
            Tlvs(header));
        AssertChecksum(header);
    }

    [Fact]
    public void WriteVersion2_TlsWithoutExtras_LeavesThemOut()
    {
        ProxyTlsFacts tls = new() { Version = "TLSv1.2", Cipher = "X", CommonName = new byte[256] };
        Assert.Equal(["20:01 00000001", "21:TLSv1.2", "23:X", "03"], Tlvs(Version2(Facts("1.2.3.4", "127.0.0.1") with { Tls = tls })));
        ProxyTlsFacts resumed = tls with { CertificateInSession = true, Verify = 0 };
        Assert.Equal("20:05 00000000", Tlvs(Version2(Facts("1.2.3.4", "127.0.0.1") with { Tls = resumed }))[0]);
    }

    [Fact]
    public void Crc32C_CheckValue() => Assert.Equal(0xe3069283, ProxyHeaderWriter.Crc32C("123456789"u8));

    [Fact]
    public void Write_AnyAddresses_OurParserReadsThemBack() =>
        Gen.Select(Gen.Byte.Array[4], Gen.Byte.Array[4], Gen.UShort, Gen.UShort).Sample((client, local, clientPort, localPort) =>
        {
            ProxyHeaderFacts facts = new() { ClientAddress = client, LocalAddress = local, ClientPort = clientPort, LocalPort = localPort };
            byte[] header = Version2(facts);
            ProxyHeaderParse parse = ProxyHeaderParser.Parse(header);
            Assert.Equal(header.Length, parse.Consumed);
            Assert.Equal(client, parse.Source.In(header).ToArray());
            Assert.Equal(local, parse.Destination.In(header).ToArray());
            Assert.Equal((clientPort, localPort), ((ushort)parse.SourcePort, (ushort)parse.DestinationPort));

            byte[] line = Fragments.Bytes(Fragments.Written(writer => ProxyHeaderWriter.WriteVersion1(facts, writer)));
            parse = ProxyHeaderParser.Parse(line);
            Assert.Equal(line.Length, parse.Consumed);
            Assert.Equal(new IPAddress(client).ToString(), Fragments.Text(parse.Source.In(line)));
            Assert.Equal((clientPort, localPort), ((ushort)parse.SourcePort, (ushort)parse.DestinationPort));
        });

    private static ProxyHeaderFacts Facts(string client, string local) => new()
    {
        ClientAddress = client.Length == 0 ? default : IPAddress.Parse(client).GetAddressBytes(),
        ClientPort = 60000,
        LocalAddress = local.Length == 0 ? default : IPAddress.Parse(local).GetAddressBytes(),
        LocalPort = 143,
    };

    private static byte[] Version2(ProxyHeaderFacts facts)
    {
        ArrayBufferWriter<byte> writer = new();
        ProxyHeaderWriter.WriteVersion2(facts, writer);
        return writer.WrittenSpan.ToArray();
    }

    private static void AssertChecksum(byte[] header)
    {
        Assert.Equal(header.Length - 16, BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(14)));
        byte[] zeroed = [.. header.AsSpan(0, header.Length - 4), 0, 0, 0, 0];
        Assert.Equal(ProxyHeaderWriter.Crc32C(zeroed), BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(header.Length - 4)));
    }

    /// <summary>The TLVs of an IPv4 header, those inside SSL after it.</summary>
    private static List<string> Tlvs(byte[] header)
    {
        List<string> found = [];
        Collect(header.AsSpan(28), found);
        return found;
    }

    private static void Collect(ReadOnlySpan<byte> rest, List<string> found)
    {
        while (!rest.IsEmpty)
        {
            string type = Convert.ToHexString(rest[..1]);
            ReadOnlySpan<byte> value = rest.Slice(3, BinaryPrimitives.ReadUInt16BigEndian(rest[1..]));
            rest = rest[(3 + value.Length)..];
            switch (type)
            {
                case "20":
                    found.Add($"20:{Convert.ToHexString(value[..1])} {Convert.ToHexString(value[1..5])}");
                    Collect(value[5..], found);
                    break;
                case "03":
                    found.Add(type);
                    break;
                default:
                    found.Add($"{type}:{Fragments.Text(value)}");
                    break;
            }
        }
    }
}
