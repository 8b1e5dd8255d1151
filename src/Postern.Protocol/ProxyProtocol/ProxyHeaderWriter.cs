using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Net;
using System.Numerics;
using System.Text;

namespace Postern.Protocol.ProxyProtocol;

/// <summary>Writes the header sent to an upstream (directive <c>proxy_protocol on|v2</c>), to go out in one piece.</summary>
public static class ProxyHeaderWriter
{
    /// <summary>
    /// Longest value of a TLV; a longer one (only a client certificate's common name could be) is left out, as a cut name is another name.
    /// </summary>
    public const int MaxValueBytes = 255;

    private const byte TypeAlpn = 0x01;
    private const byte TypeAuthority = 0x02;
    private const byte TypeCrc32C = 0x03;
    private const byte TypeSsl = 0x20;
    private const byte TypeSslVersion = 0x21;
    private const byte TypeSslCommonName = 0x22;
    private const byte TypeSslCipher = 0x23;
    private const byte TypeSslSignatureAlgorithm = 0x24;
    private const byte TypeSslKeyAlgorithm = 0x25;
    private const byte ClientTls = 0x01;
    private const byte ClientCertificateConnection = 0x02;
    private const byte ClientCertificateSession = 0x04;

    private static ReadOnlySpan<byte> MappedPrefix => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

    /// <summary>
    /// Version 1: <c>PROXY TCP4|TCP6 CLIENT LOCAL CPORT LPORT</c> CRLF; the word follows the client's family. <c>PROXY UNKNOWN</c> if
    /// either end is a unix socket.
    /// </summary>
    public static void WriteVersion1(ProxyHeaderFacts facts, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(facts);
        ArgumentNullException.ThrowIfNull(destination);
        if (facts.ClientAddress.IsEmpty || facts.LocalAddress.IsEmpty)
        {
            destination.Write("PROXY UNKNOWN\r\n"u8);
            return;
        }

        destination.Write(facts.ClientAddress.Length == 4 ? "PROXY TCP4 "u8 : "PROXY TCP6 "u8);
        WriteText(facts.ClientAddress.Span, destination);
        destination.Write(" "u8);
        WriteText(facts.LocalAddress.Span, destination);
        destination.Write(" "u8);
        WriteNumber(facts.ClientPort, destination);
        destination.Write(" "u8);
        WriteNumber(facts.LocalPort, destination);
        destination.Write("\r\n"u8);
    }

    /// <summary>
    /// Version 2: command PROXY, stream, the higher family of both ends (an IPv4 end is then written IPv4-mapped; two IPv4-mapped ends as
    /// IPv4); LOCAL without addresses if either end is a unix socket. TLVs: AUTHORITY, ALPN, SSL, CRC32C.
    /// </summary>
    public static void WriteVersion2(ProxyHeaderFacts facts, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(facts);
        ArgumentNullException.ThrowIfNull(destination);
        ArrayBufferWriter<byte> header = new(256);
        header.Write("\r\n\r\n\0\r\nQUIT\n"u8);
        WriteAddresses(facts, header);
        if (facts.Tls is { } tls)
        {
            WriteTlv(TypeAuthority, tls.ServerName.Span, header);
            WriteTlv(TypeAlpn, tls.Alpn.Span, header);
            WriteSsl(tls, header);
        }

        header.Write((ReadOnlySpan<byte>)[TypeCrc32C, 0, 4, 0, 0, 0, 0]);

        byte[] bytes = header.WrittenSpan.ToArray();
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(14), (ushort)(bytes.Length - 16));
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(bytes.Length - 4), Crc32C(bytes));
        destination.Write(bytes);
    }

    /// <summary>CRC32C (RFC 4960 appendix B), as the last TLV carries it.</summary>
    internal static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte ch in bytes)
        {
            crc = BitOperations.Crc32C(crc, ch);
        }

        return ~crc;
    }

    /// <summary>From the version byte to the ports; the length is filled in later.</summary>
    private static void WriteAddresses(ProxyHeaderFacts facts, ArrayBufferWriter<byte> header)
    {
        ReadOnlySpan<byte> client = facts.ClientAddress.Span;
        ReadOnlySpan<byte> local = facts.LocalAddress.Span;
        if (client.IsEmpty || local.IsEmpty)
        {
            header.Write((ReadOnlySpan<byte>)[0x20, 0x00, 0, 0]);
            return;
        }

        if (IsMapped(client) && IsMapped(local))
        {
            client = client[12..];
            local = local[12..];
        }

        bool isInet = client.Length == 4 && local.Length == 4;
        header.Write((ReadOnlySpan<byte>)[0x21, isInet ? (byte)0x11 : (byte)0x21, 0, 0]);
        WriteAddress(client, isInet, header);
        WriteAddress(local, isInet, header);
        WritePort(facts.ClientPort, header);
        WritePort(facts.LocalPort, header);
    }

    private static bool IsMapped(ReadOnlySpan<byte> address) => address.Length == 16 && address.StartsWith(MappedPrefix);

    private static void WriteAddress(ReadOnlySpan<byte> address, bool isInet, ArrayBufferWriter<byte> header)
    {
        if (!isInet && address.Length == 4)
        {
            header.Write(MappedPrefix);
        }

        header.Write(address);
    }

    private static void WritePort(int port, ArrayBufferWriter<byte> header)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header.GetSpan(2), (ushort)port);
        header.Advance(2);
    }

    private static void WriteSsl(ProxyTlsFacts tls, ArrayBufferWriter<byte> header)
    {
        ArrayBufferWriter<byte> ssl = new(128);
        byte client = ClientTls;
        client |= tls.CertificateInSession ? ClientCertificateSession : (byte)0;
        client |= tls.CertificateInConnection ? ClientCertificateConnection : (byte)0;
        ssl.Write((ReadOnlySpan<byte>)[client]);
        BinaryPrimitives.WriteUInt32BigEndian(ssl.GetSpan(4), tls.Verify);
        ssl.Advance(4);
        WriteTlv(TypeSslVersion, Encoding.UTF8.GetBytes(tls.Version), ssl);
        WriteTlv(TypeSslCommonName, tls.CommonName.Span, ssl);
        WriteTlv(TypeSslCipher, Encoding.UTF8.GetBytes(tls.Cipher), ssl);
        WriteTlv(TypeSslSignatureAlgorithm, Encoding.UTF8.GetBytes(tls.SignatureAlgorithm), ssl);
        WriteTlv(TypeSslKeyAlgorithm, Encoding.UTF8.GetBytes(tls.KeyAlgorithm), ssl);
        WriteTlvHeader(TypeSsl, ssl.WrittenCount, header);
        header.Write(ssl.WrittenSpan);
    }

    private static void WriteTlv(byte type, ReadOnlySpan<byte> value, ArrayBufferWriter<byte> target)
    {
        if (value.Length is 0 or > MaxValueBytes)
        {
            return;
        }

        WriteTlvHeader(type, value.Length, target);
        target.Write(value);
    }

    private static void WriteTlvHeader(byte type, int length, ArrayBufferWriter<byte> target) =>
        target.Write((ReadOnlySpan<byte>)[type, (byte)(length >> 8), (byte)length]);

    private static void WriteText(ReadOnlySpan<byte> address, IBufferWriter<byte> destination)
    {
        const int longestText = 65;
        _ = new IPAddress(address).TryFormat(destination.GetSpan(longestText), out int written);
        destination.Advance(written);
    }

    private static void WriteNumber(int number, IBufferWriter<byte> destination)
    {
        _ = Utf8Formatter.TryFormat(number, destination.GetSpan(11), out int written);
        destination.Advance(written);
    }
}
