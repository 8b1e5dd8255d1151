using Postern.Interop;

namespace Postern.Server;

/// <summary>Directive <c>worker_cpu_affinity</c>: which processors each event loop may run on.</summary>
/// <param name="Automatic">One processor for each loop, in turn, of those the first mask allows; all if there is none.</param>
/// <param name="Masks">
/// Bits as written: the last character is processor 0. Without <paramref name="Automatic"/> one for each loop; the last one counts for
/// the rest.
/// </param>
public sealed record CpuAffinity(bool Automatic, IReadOnlyList<string> Masks)
{
    /// <summary>The processors of one loop, ascending; empty = all.</summary>
    /// <param name="loop">Its number, from 0.</param>
    /// <param name="available">Those this process may use, ascending.</param>
    public IReadOnlyList<int> For(int loop, IReadOnlyList<int> available)
    {
        if (!Automatic)
        {
            return Processors(Masks[Math.Min(loop, Masks.Count - 1)]);
        }

        int[] chosen = Masks.Count == 0 ? [.. available] : [.. Processors(Masks[0]).Intersect(available)];
        return chosen.Length == 0 ? [] : [chosen[loop % chosen.Length]];
    }

    /// <summary>Binds the calling thread, a loop's, to its processors. One the machine does not have is left out by the kernel.</summary>
    internal unsafe void Apply(int loop)
    {
        const int Bytes = 128;
        byte* mask = stackalloc byte[Bytes];
        new Span<byte>(mask, Bytes).Clear();
        _ = Libc.sched_getaffinity(0, Bytes, mask);
        List<int> available = [];
        for (int processor = 0; processor < Bytes * 8; processor++)
        {
            if (((mask[processor / 8] >> (processor % 8)) & 1) == 1)
            {
                available.Add(processor);
            }
        }

        new Span<byte>(mask, Bytes).Clear();
        IReadOnlyList<int> chosen = For(loop, available);
        foreach (int processor in chosen)
        {
            mask[processor / 8] |= (byte)(1 << (processor % 8));
        }

        if (chosen.Count > 0)
        {
            // Refused if the machine has none of them: then all are allowed, as before.
            _ = Libc.sched_setaffinity(0, Bytes, mask);
        }
    }

    public override string ToString() => (Automatic ? "auto " : "") + string.Join(' ', Masks);

    private static int[] Processors(string mask)
    {
        string bits = mask.Replace(" ", "", StringComparison.Ordinal);
        return [.. Enumerable.Range(0, bits.Length).Where(processor => bits[^(processor + 1)] == '1')];
    }
}
