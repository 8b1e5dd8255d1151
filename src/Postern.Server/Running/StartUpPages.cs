using Postern.Interop;
using Postern.Net;

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
        // Code is never written to, so that the file has all there is; of data that is not sure, because of relocation.
        MemoryMapping[] code = [.. MemoryMapping.OfThisProcess().Where(mapping => mapping.Rights == "r-xp" && mapping.Name.StartsWith('/'))];

        // Nothing but this loop here: each page that is run afterwards is back at once.
        foreach (MemoryMapping mapping in code)
        {
            // Advice: if the kernel does not take it, the pages stay.
            _ = Libc.madvise((void*)mapping.Start, (nuint)(mapping.End - mapping.Start), Libc.MADV_DONTNEED);
        }
    }
}
