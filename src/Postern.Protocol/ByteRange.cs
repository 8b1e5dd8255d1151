namespace Postern.Protocol;

/// <summary>A slice of a buffer by position: what a parser found, without holding the buffer.</summary>
/// <param name="Offset">Bytes from the start of the buffer given to the parser.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct ByteRange(int Offset, int Length)
{
    /// <summary>Position of the first byte behind the slice.</summary>
    public int End => Offset + Length;

    /// <summary>The slice of <paramref name="buffer"/>, which must start where the parser's buffer started.</summary>
    public ReadOnlySpan<byte> In(ReadOnlySpan<byte> buffer) => buffer.Slice(Offset, Length);
}
