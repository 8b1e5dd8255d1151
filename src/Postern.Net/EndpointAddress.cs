using System.Globalization;
using System.Net;
using System.Text;

namespace Postern.Net;

/// <summary>The address families postern speaks.</summary>
public enum AddressFamilyKind
{
    Inet,
    Inet6,
    Unix,
}

/// <summary>
/// One socket address: IPv4 or IPv6 with a port, or the path of a unix stream socket. Immutable.
/// </summary>
public sealed class EndpointAddress : IEquatable<EndpointAddress>
{
    /// <summary>The longest path a unix socket address holds, without its terminating NUL (unix(7)).</summary>
    public const int MaxUnixPathBytes = 107;

    private readonly byte[] _bytes;

    private EndpointAddress(AddressFamilyKind family, byte[] bytes, int port)
    {
        Family = family;
        _bytes = bytes;
        Port = port;
    }

    public AddressFamilyKind Family { get; }

    /// <summary>Port in host byte order; 0 for unix sockets.</summary>
    public int Port { get; }

    /// <summary>4 or 16 bytes in network order, or the bytes of the path (empty for an unnamed unix client).</summary>
    public ReadOnlySpan<byte> AddressBytes => _bytes;

    /// <summary>The path, for unix sockets; otherwise empty.</summary>
    public string UnixPath => Family == AddressFamilyKind.Unix ? Encoding.UTF8.GetString(_bytes) : "";

    /// <summary>Whether the address is <c>0.0.0.0</c> or <c>[::]</c>.</summary>
    public bool IsWildcard => Family != AddressFamilyKind.Unix && !_bytes.AsSpan().ContainsAnyExcept((byte)0);

    /// <summary>An IPv4-mapped IPv6 address (<c>::ffff:a.b.c.d</c>).</summary>
    public bool IsIPv4Mapped => Family == AddressFamilyKind.Inet6
        && _bytes.AsSpan(0, 12).SequenceEqual((ReadOnlySpan<byte>)[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);

    /// <param name="address">4 bytes make an IPv4, 16 an IPv6 address.</param>
    /// <param name="port">Host byte order.</param>
    public static EndpointAddress FromIP(ReadOnlySpan<byte> address, int port) => new(
        address.Length == 4 ? AddressFamilyKind.Inet : AddressFamilyKind.Inet6, address.ToArray(), port);

    public static EndpointAddress FromIP(IPAddress address, int port)
    {
        ArgumentNullException.ThrowIfNull(address);
        return FromIP(address.GetAddressBytes(), port);
    }

    public static EndpointAddress FromUnixPath(string path) => new(AddressFamilyKind.Unix, Encoding.UTF8.GetBytes(path), 0);

    /// <summary>The same address with another port.</summary>
    public EndpointAddress WithPort(int port) => new(Family, _bytes, port);

    /// <summary>
    /// Reads an address as it may stand in <c>Auth-Server</c>: dotted quad, or IPv6 without brackets and without scope.
    /// </summary>
    /// <returns>Null if the text is anything else (a host name, brackets, <c>unix:</c>).</returns>
    public static EndpointAddress? TryParseIP(ReadOnlySpan<char> text, int port)
    {
        if (text.Contains(':'))
        {
            return text.Contains('%') || text.Contains('[') || text.Contains('/') || !IPAddress.TryParse(text, out IPAddress? v6)
                ? null
                : FromIP(v6, port);
        }

        Span<byte> quad = stackalloc byte[4];
        int part = 0;
        foreach (Range range in text.Split('.'))
        {
            ReadOnlySpan<char> digits = text[range];
            if (part == 4 || digits.Length is 0 or > 3 || digits.ContainsAnyExceptInRange('0', '9')
                || !byte.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out quad[part++]))
            {
                return null;
            }
        }

        return part == 4 ? FromIP(quad, port) : null;
    }

    /// <summary>The address without port: <c>127.0.0.1</c>, <c>::1</c>, <c>unix:</c> (as in <c>Client-IP</c> and <c>client:</c>).</summary>
    public string ToAddressText() => Family == AddressFamilyKind.Unix ? "unix:" : new IPAddress(_bytes).ToString();

    /// <summary><c>127.0.0.1:143</c>, <c>[::1]:143</c>, <c>unix:/path</c>.</summary>
    public override string ToString() => Family switch
    {
        AddressFamilyKind.Inet => string.Create(CultureInfo.InvariantCulture, $"{new IPAddress(_bytes)}:{Port}"),
        AddressFamilyKind.Inet6 => string.Create(CultureInfo.InvariantCulture, $"[{new IPAddress(_bytes)}]:{Port}"),
        _ => "unix:" + UnixPath,
    };

    public bool Equals(EndpointAddress? other) => other is not null && Family == other.Family && Port == other.Port
        && _bytes.AsSpan().SequenceEqual(other._bytes);

    public override bool Equals(object? obj) => Equals(obj as EndpointAddress);

    public override int GetHashCode()
    {
        HashCode hash = default;
        hash.Add(Family);
        hash.Add(Port);
        hash.AddBytes(_bytes);
        return hash.ToHashCode();
    }
}
