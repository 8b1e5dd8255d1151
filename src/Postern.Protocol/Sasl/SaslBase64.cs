using System.Buffers;
using System.Buffers.Text;

namespace Postern.Protocol.Sasl;

/// <summary>Base64 of SASL challenges and responses (RFC 4648 section 4), decoded as leniently as nginx does.</summary>
public static class SaslBase64
{
    /// <summary>Most bytes a response of this length can decode to.</summary>
    public static int MaxDecodedBytes(int encodedBytes) => (int)((encodedBytes * 3L) / 4);

    /// <summary>
    /// Decodes up to the first <c>=</c>; what follows is ignored and padding is not required. The empty response and a lone <c>=</c>
    /// are the empty string.
    /// </summary>
    /// <param name="encoded">One word of a line.</param>
    /// <param name="destination">At least <see cref="MaxDecodedBytes"/>; may start at the same byte as <paramref name="encoded"/>.</param>
    /// <param name="written">Bytes decoded; 0 on failure. <paramref name="destination"/> may be changed on failure, too.</param>
    /// <returns>False for a character outside the alphabet, or one left over character.</returns>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> destination, out int written)
    {
        written = 0;
        int padding = encoded.IndexOf((byte)'=');
        if (padding >= 0)
        {
            encoded = encoded[..padding];
        }

        if (encoded.Length % 4 == 1)
        {
            return false;
        }

        int bits = 0;
        int bitCount = 0;
        int length = 0;
        foreach (byte ch in encoded)
        {
            int value = SixBits(ch);
            if (value < 0)
            {
                return false;
            }

            bits = (bits << 6) | value;
            bitCount += 6;
            if (bitCount >= 8)
            {
                bitCount -= 8;
                destination[length++] = (byte)(bits >> bitCount);
                bits &= (1 << bitCount) - 1;
            }
        }

        written = length;
        return true;
    }

    /// <summary>Writes the base64 of <paramref name="plain"/>, padded, without line end.</summary>
    public static void Encode(ReadOnlySpan<byte> plain, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        Span<byte> target = destination.GetSpan(Base64.GetMaxEncodedToUtf8Length(plain.Length));
        _ = Base64.EncodeToUtf8(plain, target, out _, out int written);
        destination.Advance(written);
    }

    private static int SixBits(byte ch) => ch switch
    {
        >= (byte)'A' and <= (byte)'Z' => ch - 'A',
        >= (byte)'a' and <= (byte)'z' => ch - 'a' + 26,
        >= (byte)'0' and <= (byte)'9' => ch - '0' + 52,
        (byte)'+' => 62,
        (byte)'/' => 63,
        _ => -1,
    };
}
