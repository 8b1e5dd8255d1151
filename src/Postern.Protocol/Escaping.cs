using System.Buffers;

namespace Postern.Protocol;

/// <summary>
/// Makes bytes of a client harmless for where they go next, one function per destination. The error log has its own in
/// <c>Postern.Logging</c> (<c>LogLine.AppendEscaped</c>).
/// </summary>
public static class Escaping
{
    /// <summary>A byte grows to at most this many.</summary>
    public const int MaxGrowth = 3;

    private static readonly SearchValues<byte> _authHttp = SearchValues.Create([.. Bytes(0x00, 0x20), (byte)'%']);
    private static readonly SearchValues<byte> _xtext = SearchValues.Create(
        [.. Bytes(0x00, 0x20), (byte)'+', (byte)'=', .. Bytes(0x7f, 0xff)]);

    /// <summary>
    /// For <c>Auth-User</c>, <c>Auth-Pass</c> and <c>Auth-SSL-Cert</c>: 0x00–0x20 and <c>%</c> become <c>%XX</c> in upper case,
    /// everything else (0x7F–0xFF too) stays raw, as auth servers written for nginx expect.
    /// </summary>
    public static void WriteAuthHttp(ReadOnlySpan<byte> value, IBufferWriter<byte> destination) =>
        Write(value, (byte)'%', _authHttp, destination);

    /// <summary>
    /// xtext for XCLIENT attributes (RFC 3461 section 4): 0x00–0x20, <c>+</c>, <c>=</c> and 0x7F–0xFF become <c>+XX</c> in upper case.
    /// </summary>
    public static void WriteXtext(ReadOnlySpan<byte> value, IBufferWriter<byte> destination) =>
        Write(value, (byte)'+', _xtext, destination);

    private static void Write(ReadOnlySpan<byte> value, byte sign, SearchValues<byte> special, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        while (!value.IsEmpty)
        {
            int plain = value.IndexOfAny(special);
            if (plain < 0)
            {
                destination.Write(value);
                return;
            }

            destination.Write(value[..plain]);
            Span<byte> target = destination.GetSpan(MaxGrowth);
            target[0] = sign;
            target[1] = "0123456789ABCDEF"u8[value[plain] >> 4];
            target[2] = "0123456789ABCDEF"u8[value[plain] & 15];
            destination.Advance(MaxGrowth);
            value = value[(plain + 1)..];
        }
    }

    private static IEnumerable<byte> Bytes(int first, int last) => Enumerable.Range(first, last - first + 1).Select(value => (byte)value);
}
