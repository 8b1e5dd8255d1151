namespace Postern.Protocol.ProxyProtocol;

/// <summary>What the parser found at the start of a connection.</summary>
public enum ProxyHeaderStatus
{
    /// <summary>The beginning of a header; receive more. If the client closes now, the header is broken.</summary>
    NeedMore,

    /// <summary>A header; the client's own bytes begin behind it.</summary>
    Complete,

    /// <summary>Not an acceptable header: close without a reply and log <see cref="ProxyHeaderFailureText"/>.</summary>
    Failed,
}

/// <summary>Why a header was refused.</summary>
public enum ProxyHeaderFailure
{
    /// <summary>It was not.</summary>
    None,

    /// <summary>Not a header, or a bad field: <c>broken header: "FIRST LINE"</c>.</summary>
    BrokenHeader,

    /// <summary>Version 2's signature with another version: <c>unknown PROXY protocol version: N</c>.</summary>
    UnknownVersion,

    /// <summary>Longer than <see cref="ProxyHeaderParser.MaxVersion2Bytes"/>: <c>header is too large</c>.</summary>
    TooLarge,

    /// <summary>Version 2: the address block is shorter than its family needs; nothing is logged.</summary>
    AddressBlockTooShort,
}

/// <summary>How the addresses of a header are given.</summary>
public enum ProxyAddressKind
{
    /// <summary>None: UNKNOWN, LOCAL, datagrams, unix sockets, unknown families.</summary>
    None,

    /// <summary>Version 1: text as in the header, of the characters <c>0-9 A-F a-f : .</c>, not otherwise validated.</summary>
    Text,

    /// <summary>Version 2: 4 bytes in network order.</summary>
    Inet,

    /// <summary>Version 2: 16 bytes in network order.</summary>
    Inet6,
}

/// <summary>The result of <see cref="ProxyHeaderParser.Parse"/>. Ranges point into its buffer.</summary>
public readonly record struct ProxyHeaderParse
{
    public ProxyHeaderStatus Status { get; init; }

    /// <summary>Bytes of the header, when complete; otherwise 0.</summary>
    public int Consumed { get; init; }

    public ProxyHeaderFailure Failure { get; init; }

    /// <summary>1 or 2 when complete; for <see cref="ProxyHeaderFailure.UnknownVersion"/> the number found (0–15).</summary>
    public int Version { get; init; }

    public ProxyAddressKind AddressKind { get; init; }

    /// <summary>The client's address.</summary>
    public ByteRange Source { get; init; }

    /// <summary>The address it connected to.</summary>
    public ByteRange Destination { get; init; }

    /// <summary>Host byte order.</summary>
    public int SourcePort { get; init; }

    /// <summary>Host byte order.</summary>
    public int DestinationPort { get; init; }

    /// <summary>Version 2: the TLVs behind the addresses, not validated; otherwise empty.</summary>
    public ByteRange Tlvs { get; init; }
}

/// <summary>The log texts of refused headers (level error, action <c>reading PROXY protocol</c>).</summary>
public static class ProxyHeaderFailureText
{
    /// <summary>
    /// The text; behind <c>broken header: </c> the caller puts the escaped <see cref="FirstLine"/> in quotes, behind
    /// <c>unknown PROXY protocol version: </c> the number. Empty = log nothing.
    /// </summary>
    public static ReadOnlySpan<byte> Of(ProxyHeaderFailure failure) => failure switch
    {
        ProxyHeaderFailure.BrokenHeader => "broken header: "u8,
        ProxyHeaderFailure.UnknownVersion => "unknown PROXY protocol version: "u8,
        ProxyHeaderFailure.TooLarge => "header is too large"u8,
        _ => default,
    };

    /// <summary>
    /// What was received up to the first CR or LF, at most <see cref="ProxyHeaderParser.MaxVersion1Bytes"/>. Foreign bytes: escape
    /// them.
    /// </summary>
    public static ReadOnlySpan<byte> FirstLine(ReadOnlySpan<byte> received)
    {
        int end = received.IndexOfAny((byte)'\r', (byte)'\n');
        return received[..Math.Min(end < 0 ? received.Length : end, ProxyHeaderParser.MaxVersion1Bytes)];
    }
}
