using System.Globalization;
using Postern.Interop;

namespace Postern.Server.Running;

/// <summary>
/// Pages of the program and its libraries that only starting needed: reading the configuration runs through most of the code,
/// serving through little of it.
/// </summary>
internal static unsafe class StartUpPages
{
    /// <summary>
    /// Gives the mapped code back to the kernel (madvise(2), MADV_DONTNEED). It stays in the page cache; what runs again is
    /// mapped again, some 64 KiB at a time.
    /// </summary>
    public static void Release()
    {
        List<(nuint Start, nuint Length)> code = FindCode();

        // Nothing but this loop here: each page that is run afterwards is back at once.
        foreach ((nuint start, nuint length) in code)
        {
            // Advice: if the kernel does not take it, the pages stay.
            _ = Libc.madvise((void*)start, length, Libc.MADV_DONTNEED);
        }
    }

    /// <summary>
    /// The executable mappings of files. Code is never written to, so that the file has all there is; of data that is not sure,
    /// because of relocation.
    /// </summary>
    private static List<(nuint Start, nuint Length)> FindCode()
    {
        const string Maps = "/proc/self/maps";
        List<(nuint Start, nuint Length)> found = [];
        foreach (string line in File.Exists(Maps) ? File.ReadLines(Maps) : [])
        {
            // "55d0c8a00000-55d0c8c9f000 r-xp 00030000 fe:00 1234   /usr/sbin/postern"
            int dash = line.IndexOf('-', StringComparison.Ordinal);
            int blank = line.IndexOf(' ', StringComparison.Ordinal);
            if (line.Contains(" r-xp ", StringComparison.Ordinal) && line.Contains('/', StringComparison.Ordinal)
                && nuint.TryParse(line.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out nuint start)
                && nuint.TryParse(line.AsSpan(dash + 1, blank - dash - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out nuint end))
            {
                found.Add((start, end - start));
            }
        }

        return found;
    }
}
