using System.Buffers.Binary;
using Postern.Interop;

namespace Postern.Net;

/// <summary>Translates between <see cref="EndpointAddress"/> and <c>struct sockaddr_*</c> (ip(7), ipv6(7), unix(7)).</summary>
internal static class SocketAddresses
{
    /// <summary>The AF_ constant of the address's family.</summary>
    public static int NativeFamily(EndpointAddress address) => address.Family switch
    {
        AddressFamilyKind.Inet => Libc.AF_INET,
        AddressFamilyKind.Inet6 => Libc.AF_INET6,
        _ => Libc.AF_UNIX,
    };

    /// <summary>Writes the structure; <paramref name="target"/> holds at least <see cref="Libc.SockaddrBytes"/> bytes.</summary>
    /// <returns>Its length in bytes.</returns>
    public static int Write(EndpointAddress address, Span<byte> target)
    {
        target.Clear();
        BitConverter.TryWriteBytes(target, (ushort)NativeFamily(address));
        switch (address.Family)
        {
            case AddressFamilyKind.Inet:
                BinaryPrimitives.WriteUInt16BigEndian(target[2..], (ushort)address.Port);
                address.AddressBytes.CopyTo(target[4..]);
                return 16;
            case AddressFamilyKind.Inet6:
                BinaryPrimitives.WriteUInt16BigEndian(target[2..], (ushort)address.Port);
                address.AddressBytes.CopyTo(target[8..]);
                return 28;
            default:
                address.AddressBytes.CopyTo(target[2..]);
                return 2 + address.AddressBytes.Length + 1;
        }
    }

    public static EndpointAddress Read(ReadOnlySpan<byte> source)
    {
        int family = BitConverter.ToUInt16(source);
        return family switch
        {
            Libc.AF_INET => EndpointAddress.FromIP(source.Slice(4, 4), BinaryPrimitives.ReadUInt16BigEndian(source[2..])),
            Libc.AF_INET6 => EndpointAddress.FromIP(source.Slice(8, 16), BinaryPrimitives.ReadUInt16BigEndian(source[2..])),
            _ => EndpointAddress.FromUnixPath(""),
        };
    }
}
