using System.Globalization;
using System.Net;

namespace Postern.Net;

/// <summary>Addresses that share their leading bits, as <c>set_real_ip_from</c> and <c>debug_connection</c> name them.</summary>
/// <param name="Address">4 or 16 bytes with the host bits cleared; empty means unix sockets.</param>
/// <param name="PrefixBits">Number of leading bits compared.</param>
public sealed record AddressRange(byte[] Address, int PrefixBits)
{
    /// <summary>Reads <c>unix:</c>, an address, a CIDR range or a host name.</summary>
    /// <param name="text">As written.</param>
    /// <param name="resolveHost">Asked for everything that is no address.</param>
    /// <param name="hostBits">Whether bits behind the prefix were set, which is worth a warning.</param>
    /// <returns>Empty if the text is a host name that does not exist.</returns>
    public static IReadOnlyList<AddressRange> Parse(string text, Func<string, IReadOnlyList<IPAddress>> resolveHost, out bool hostBits)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(resolveHost);
        hostBits = false;
        if (text == "unix:")
        {
            return [new AddressRange([], 0)];
        }

        return TryParseCidr(text, out hostBits) is AddressRange range
            ? [range]
            : [.. resolveHost(text).Select(address => Whole(address.GetAddressBytes()))];
    }

    /// <summary>Whether the address is one of these. An IPv4-mapped one (<c>::ffff:a.b.c.d</c>) is the IPv4 address it holds.</summary>
    public bool Contains(EndpointAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.Family == AddressFamilyKind.Unix || Address.Length == 0)
        {
            return address.Family == AddressFamilyKind.Unix && Address.Length == 0;
        }

        ReadOnlySpan<byte> bytes = address.IsIPv4Mapped ? address.AddressBytes[12..] : address.AddressBytes;
        int whole = PrefixBits / 8;
        int rest = PrefixBits % 8;
        return bytes.Length == Address.Length
            && bytes[..whole].SequenceEqual(Address.AsSpan(0, whole))
            && (rest == 0 || ((bytes[whole] ^ Address[whole]) >> (8 - rest)) == 0);
    }

    private static AddressRange Whole(byte[] address) => new(address, address.Length * 8);

    private static AddressRange? TryParseCidr(string text, out bool hostBits)
    {
        hostBits = false;
        int slash = text.IndexOf('/');
        if (EndpointAddress.TryParseIP(slash < 0 ? text : text.AsSpan(0, slash), 0) is not EndpointAddress address)
        {
            return null;
        }

        byte[] bytes = address.AddressBytes.ToArray();
        if (slash < 0)
        {
            return Whole(bytes);
        }

        if (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int bits) || bits > bytes.Length * 8)
        {
            return null;
        }

        hostBits = ClearHostBits(bytes, bits);
        return new AddressRange(bytes, bits);
    }

    /// <summary>Clears what stands behind the prefix.</summary>
    /// <returns>Whether anything was set there.</returns>
    private static bool ClearHostBits(byte[] address, int prefixBits)
    {
        bool any = false;
        for (int i = 0; i < address.Length; i++)
        {
            int kept = Math.Clamp(prefixBits - (i * 8), 0, 8);
            byte mask = (byte)(0xff00 >> kept);
            any |= (address[i] & ~mask) != 0;
            address[i] &= mask;
        }

        return any;
    }
}
