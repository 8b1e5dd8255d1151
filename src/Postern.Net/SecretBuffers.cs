using System.Numerics;

namespace Postern.Net;

/// <summary>
/// Memory of one loop for what may be a password, pinned: the collector moves what is not, and leaves a copy where it was that nobody can
/// wipe. Whoever gives a buffer back gets it wiped.
/// </summary>
public sealed class SecretBuffers
{
    private const int SmallestBits = 7;
    private const int LargestBits = 16;

    /// <summary>Kept for the next ones, of each size; more than that come and go with a rush.</summary>
    private const int MostKept = 32;

    private readonly Stack<byte[]>[] _kept = [.. Enumerable.Range(SmallestBits, LargestBits - SmallestBits + 1).Select(_ => new Stack<byte[]>())];

    /// <summary>An array of exactly so many bytes that belongs to no loop, for its owner to wipe.</summary>
    public static byte[] Allocate(int length) => length == 0 ? [] : GC.AllocateUninitializedArray<byte>(length, pinned: true);

    /// <summary><see cref="Allocate"/> with this content.</summary>
    public static byte[] Copy(ReadOnlySpan<byte> content)
    {
        byte[] copy = Allocate(content.Length);
        content.CopyTo(copy);
        return copy;
    }

    /// <summary>A buffer of at least so many bytes.</summary>
    public byte[] Rent(int length)
    {
        int bits = BitsOf(length);
        return bits > LargestBits ? Allocate(length) : _kept[bits - SmallestBits].TryPop(out byte[]? kept) ? kept : Allocate(1 << bits);
    }

    /// <summary>Wipes a buffer from <see cref="Rent"/> and keeps it for others.</summary>
    public void Return(byte[] buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        buffer.AsSpan().Clear();
        int bits = BitsOf(buffer.Length);
        if (bits <= LargestBits && _kept[bits - SmallestBits].Count < MostKept)
        {
            _kept[bits - SmallestBits].Push(buffer);
        }
    }

    private static int BitsOf(int length) => Math.Max(SmallestBits, BitOperations.Log2((uint)Math.Max(1, length - 1)) + 1);
}
