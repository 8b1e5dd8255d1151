using System.Buffers.Binary;

namespace Postern.Protocol.ProxyProtocol;

/// <summary>
/// Parses the header in front of a connection (<c>listen … proxy_protocol</c>; the PROXY protocol specification, versions 1 and 2).
/// Looks from the start each time, which its limits keep short, and refuses as soon as the bytes cannot become a header.
/// </summary>
public static class ProxyHeaderParser
{
    /// <summary>Longest version 1 line, CRLF included (specification section 2.1).</summary>
    public const int MaxVersion1Bytes = 107;

    /// <summary>Longest version 2 header, TLVs included; protects memory before anything is known about the client.</summary>
    public const int MaxVersion2Bytes = 4096;

    private const int Version2FixedBytes = 16;

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    /// <param name="buffer">Everything received so far on the connection.</param>
    public static ProxyHeaderParse Parse(ReadOnlySpan<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return default;
        }

        return buffer[0] == Signature[0] ? ParseVersion2(buffer) : ParseVersion1(buffer);
    }

    private static ProxyHeaderParse ParseVersion1(ReadOnlySpan<byte> buffer)
    {
        bool isCut = buffer.Length >= MaxVersion1Bytes;
        Cursor cursor = new(buffer[..Math.Min(buffer.Length, MaxVersion1Bytes)]);
        ProxyHeaderParse header = cursor.Literal("PROXY "u8) ? ParseFamily(ref cursor) : default;
        if (cursor.IsBroken || (cursor.IsShort && isCut))
        {
            return Fail(ProxyHeaderFailure.BrokenHeader);
        }

        return cursor.IsShort ? default : header with { Status = ProxyHeaderStatus.Complete, Version = 1, Consumed = cursor.Position };
    }

    private static ProxyHeaderParse ParseFamily(ref Cursor cursor)
    {
        if (cursor.Peek() == (byte)'U')
        {
            _ = cursor.Literal("UNKNOWN"u8) && cursor.SkipToCrLf();
            return default;
        }

        if (!cursor.Literal("TCP"u8) || !cursor.OneOf((byte)'4', (byte)'6') || !cursor.Literal(" "u8))
        {
            return default;
        }

        bool complete = cursor.Address(out ByteRange source) & cursor.Address(out ByteRange destination)
            & cursor.Port((byte)' ', out int sourcePort) & cursor.Port((byte)'\r', out int destinationPort) & cursor.Literal("\n"u8);
        return complete
            ? new ProxyHeaderParse
            {
                AddressKind = ProxyAddressKind.Text,
                Source = source,
                Destination = destination,
                SourcePort = sourcePort,
                DestinationPort = destinationPort,
            }
            : default;
    }

    private static ProxyHeaderParse ParseVersion2(ReadOnlySpan<byte> buffer)
    {
        int compared = Math.Min(buffer.Length, Signature.Length);
        if (!buffer[..compared].SequenceEqual(Signature[..compared]))
        {
            return Fail(ProxyHeaderFailure.BrokenHeader);
        }

        if (buffer.Length > Signature.Length && buffer[12] >> 4 != 2)
        {
            return Fail(ProxyHeaderFailure.UnknownVersion) with { Version = buffer[12] >> 4 };
        }

        if (buffer.Length < Version2FixedBytes)
        {
            return default;
        }

        int command = buffer[12] & 15;
        if (command > 1)
        {
            // Specification section 2.2: connections with commands unknown to the receiver are dropped.
            return Fail(ProxyHeaderFailure.BrokenHeader);
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(buffer[14..]);
        int addressBytes = command == 0 ? 0 : AddressBytes(buffer[13]);
        if (length + Version2FixedBytes > MaxVersion2Bytes)
        {
            return Fail(ProxyHeaderFailure.TooLarge);
        }

        if (length < AddressBlockBytes(addressBytes))
        {
            return Fail(ProxyHeaderFailure.AddressBlockTooShort);
        }

        return buffer.Length < Version2FixedBytes + length ? default : Version2(buffer[..(Version2FixedBytes + length)], addressBytes);
    }

    private static ProxyHeaderParse Version2(ReadOnlySpan<byte> header, int addressBytes)
    {
        ProxyHeaderParse result = new() { Status = ProxyHeaderStatus.Complete, Version = 2, Consumed = header.Length };
        if (addressBytes == 0)
        {
            return result;
        }

        int ports = Version2FixedBytes + (2 * addressBytes);
        return result with
        {
            AddressKind = addressBytes == 4 ? ProxyAddressKind.Inet : ProxyAddressKind.Inet6,
            Source = new ByteRange(Version2FixedBytes, addressBytes),
            Destination = new ByteRange(Version2FixedBytes + addressBytes, addressBytes),
            SourcePort = BinaryPrimitives.ReadUInt16BigEndian(header[ports..]),
            DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(header[(ports + 2)..]),
            Tlvs = new ByteRange(ports + 4, header.Length - ports - 4),
        };
    }

    /// <summary>Bytes of one address for TCP over IPv4 (0x11) and IPv6 (0x21); 0 for everything that carries no address for us.</summary>
    private static int AddressBytes(byte familyAndTransport) => familyAndTransport switch
    {
        0x11 => 4,
        0x21 => 16,
        _ => 0,
    };

    private static int AddressBlockBytes(int addressBytes) => addressBytes == 0 ? 0 : (2 * addressBytes) + 4;

    private static ProxyHeaderParse Fail(ProxyHeaderFailure failure) => new() { Status = ProxyHeaderStatus.Failed, Failure = failure };

    /// <summary>Reads a version 1 line element by element; remembers whether it ran out of bytes or met a wrong one.</summary>
    private ref struct Cursor(ReadOnlySpan<byte> line)
    {
        private readonly ReadOnlySpan<byte> _line = line;

        public int Position { get; private set; }

        public bool IsShort { get; private set; }

        public bool IsBroken { get; private set; }

        private readonly bool HasStopped => IsShort || IsBroken;

        /// <returns>The next byte, or -1 (which <see cref="IsShort"/> remembers).</returns>
        public int Peek()
        {
            IsShort |= Position == _line.Length;
            return HasStopped ? -1 : _line[Position];
        }

        public bool Literal(ReadOnlySpan<byte> expected)
        {
            foreach (byte ch in expected)
            {
                if (!OneOf(ch, ch))
                {
                    return false;
                }
            }

            return true;
        }

        public bool OneOf(byte first, byte second)
        {
            int next = Peek();
            if (next < 0)
            {
                return false;
            }

            IsBroken = next != first && next != second;
            Position += IsBroken ? 0 : 1;
            return !IsBroken;
        }

        /// <summary>At least one hex digit, colon or dot, and the space behind them.</summary>
        public bool Address(out ByteRange range)
        {
            int start = Position;
            while (Peek() is int next && (char.IsAsciiHexDigit((char)next) || next is ':' or '.'))
            {
                Position++;
            }

            range = new ByteRange(start, Position - start);
            return Close(start, (byte)' ');
        }

        /// <summary>Digits of a number up to 65535, and the byte behind them.</summary>
        public bool Port(byte end, out int port)
        {
            int start = Position;
            port = 0;
            while (Peek() is int next && next is >= '0' and <= '9' && !IsBroken)
            {
                port = (port * 10) + (next - '0');
                IsBroken = port > ushort.MaxValue;
                Position++;
            }

            return Close(start, end);
        }

        public bool SkipToCrLf()
        {
            int end = _line[Position..].IndexOf("\r\n"u8);
            IsShort = end < 0;
            Position += IsShort ? 0 : end + 2;
            return !IsShort;
        }

        private bool Close(int start, byte end)
        {
            if (HasStopped)
            {
                return false;
            }

            IsBroken = Position == start;
            return !IsBroken && OneOf(end, end);
        }
    }
}
