using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Server.Running;

/// <summary>
/// Pages of the program and its libraries that only starting needed: reading the configuration runs through most of the code,
/// serving through little of it.
/// </summary>
internal static unsafe class StartUpPages
{
    /// <summary>
    /// Gives mapped code, and the libraries' constants, back to the kernel (madvise(2), MADV_DONTNEED). They stay in the page cache; what is used again is
    /// mapped again, some 64 KiB at a time.
    /// </summary>
    public static void Release() => _ = Libc.dl_iterate_phdr(&Release, null);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Release(LoadedObject* loaded, nuint size, void* data)
    {
        // The runtime keeps values of its own among the program's constants, which it writes once, at its start: those must stay.
        bool isProgram = *loaded->Name == 0;
        long page = Environment.SystemPageSize;
        for (int i = 0; i < loaded->HeaderCount; i++)
        {
            ProgramHeader* header = loaded->Headers + i;

            // What is never written to, not even by relocation, the file has just as it is.
            if (header->Type == Libc.PT_LOAD && (header->Flags & Libc.PF_W) == 0 && (!isProgram || (header->Flags & Libc.PF_X) != 0))
            {
                nint start = (nint)((loaded->Base + header->VirtualAddress) / page * page);
                nint end = (nint)((loaded->Base + header->VirtualAddress + header->MemoryBytes + page - 1) / page * page);

                // Advice: if the kernel does not take it, the pages stay.
                _ = Libc.madvise((void*)start, (nuint)(end - start), Libc.MADV_DONTNEED);
            }
        }

        return 0;
    }
}
