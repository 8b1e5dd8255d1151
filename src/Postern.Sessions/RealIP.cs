using Postern.Net;

namespace Postern.Sessions;

/// <summary>Directive <c>set_real_ip_from</c>: whose PROXY headers are believed (mail-proxy 6.2).</summary>
internal static class RealIP
{
    public static bool IsTrusted(IReadOnlyList<TrustedProxy> trusted, EndpointAddress peer)
    {
        // IPv4-mapped peers match IPv4 entries.
        ReadOnlySpan<byte> address = peer.IsIPv4Mapped ? peer.AddressBytes[12..] : peer.AddressBytes;
        bool unix = peer.Family == AddressFamilyKind.Unix;
        foreach (TrustedProxy entry in trusted)
        {
            if (unix ? entry.Address.Length == 0 : Matches(entry, address))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Matches(TrustedProxy entry, ReadOnlySpan<byte> address)
    {
        if (entry.Address.Length != address.Length)
        {
            return false;
        }

        int whole = entry.PrefixBits / 8;
        int rest = entry.PrefixBits % 8;
        return address[..whole].SequenceEqual(entry.Address.AsSpan(0, whole))
            && (rest == 0 || ((address[whole] ^ entry.Address[whole]) >> (8 - rest)) == 0);
    }
}
