using System.Runtime.InteropServices;
using SharpFuzz.Common;

namespace Postern.Fuzz;

/// <summary>
/// Edges of the instrumented assemblies that an input went through, as AFL counts them: one byte for each hash of two neighbouring
/// branches, counts rounded to powers of two.
/// </summary>
internal sealed unsafe class CoverageMap
{
    private const int Bytes = 65_536;

    private readonly byte* _map = (byte*)NativeMemory.AllocZeroed(Bytes);
    private readonly byte[] _seen = new byte[Bytes];

    public CoverageMap() => Trace.SharedMem = _map;

    /// <summary>Edges seen so far, by whatever input.</summary>
    public int Edges { get; private set; }

    public void Clear()
    {
        new Span<byte>(_map, Bytes).Clear();
        Trace.PrevLocation = 0;
    }

    /// <summary>Whether the last input went a way, or went it so many times, as none before.</summary>
    public bool TakeNew()
    {
        bool isNew = false;
        ReadOnlySpan<ulong> words = new(_map, Bytes / sizeof(ulong));
        for (int i = 0; i < words.Length; i++)
        {
            if (words[i] == 0)
            {
                continue;
            }

            for (int at = i * sizeof(ulong); at < (i + 1) * sizeof(ulong); at++)
            {
                byte bucket = Bucket(_map[at]);
                if ((bucket & ~_seen[at]) != 0)
                {
                    Edges += _seen[at] == 0 ? 1 : 0;
                    _seen[at] |= bucket;
                    isNew = true;
                }
            }
        }

        return isNew;
    }

    private static byte Bucket(byte count) => count switch
    {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        < 8 => 8,
        < 16 => 16,
        < 32 => 32,
        < 128 => 64,
        _ => 128,
    };
}
