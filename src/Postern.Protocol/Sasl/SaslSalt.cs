using System.Buffers.Text;

namespace Postern.Protocol.Sasl;

/// <summary>The salt of CRAM-MD5 and APOP (RFC 2195 section 2, RFC 1939 section 7): <c>&lt;R.T@NAME&gt;</c>.</summary>
public static class SaslSalt
{
    /// <summary>Makes a salt, angle brackets included.</summary>
    /// <param name="random">From a cryptographic generator; the highest bit is not used, so that R has 31 bits.</param>
    /// <param name="unixSeconds">Seconds since 1970.</param>
    /// <param name="serverName"><c>server_name</c>.</param>
    public static byte[] Create(uint random, long unixSeconds, ReadOnlySpan<byte> serverName)
    {
        Span<byte> numbers = stackalloc byte[2 + 10 + 1 + 20];
        numbers[0] = (byte)'<';
        _ = Utf8Formatter.TryFormat(random & int.MaxValue, numbers[1..], out int length);
        length++;
        numbers[length++] = (byte)'.';
        _ = Utf8Formatter.TryFormat(unixSeconds, numbers[length..], out int digits);
        return [.. numbers[..(length + digits)], (byte)'@', .. serverName, (byte)'>'];
    }
}
