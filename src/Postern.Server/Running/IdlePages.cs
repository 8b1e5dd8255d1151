using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Server.Running;

/// <summary>
/// Pages of the program and its libraries that nobody needs at the moment: reading the configuration runs through most of the code, serving
/// through little of it, and keeping idle sessions through hardly any.
/// </summary>
internal static unsafe class IdlePages
{
    /// <summary>proc_pid_pagemap(5): the page is in memory or in swap; else it is still to be read from the file.</summary>
    private const ulong IsThere = 3UL << 62;

    /// <summary>The page is the file's, nobody has written to it.</summary>
    private const ulong IsFilePage = 1UL << 61;

    /// <summary>Entries of the page map read at once: 1 MiB of memory.</summary>
    private const int EntriesAtOnce = 256;

    private static int _pageMap = -1;

    /// <summary>
    /// First and last byte of constants that were the file's when the page map was read. They are mapped for reading only, and what
    /// the runtime writes there it writes before anything else runs: they stay so.
    /// </summary>
    private static readonly List<(long Start, long End)> _unwritten = [];

    /// <summary>
    /// Opens the process's page map, which a process that has given up its privileges may not; <see cref="Release()"/> closes it. Open for
    /// longer it would tell an intruder where in the machine's memory the pages are.
    /// </summary>
    public static void Prepare() => _pageMap = Libc.open("/proc/self/pagemap", Libc.O_RDONLY | Libc.O_CLOEXEC, 0);

    /// <summary>
    /// Gives mapped code and constants back to the kernel (madvise(2), MADV_DONTNEED). They stay in the page cache; what is used again is
    /// mapped again, some 64 KiB at a time. Of the program's own constants those go that the page map has once shown as unwritten.
    /// </summary>
    public static void Release()
    {
        if (_pageMap >= 0)
        {
            _unwritten.Clear();
        }

        _ = Libc.dl_iterate_phdr(&Release, null);
        if (_pageMap >= 0)
        {
            _ = Libc.close(_pageMap);
            _pageMap = -1;
        }

        foreach ((long start, long end) in _unwritten)
        {
            Release(start, end);
        }
    }

    /// <summary>For a process that may read its own page map at any time.</summary>
    public static void PrepareAndRelease()
    {
        Prepare();
        Release();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Release(LoadedObject* loaded, nuint size, void* data)
    {
        bool isProgram = *loaded->Name == 0;
        long page = Environment.SystemPageSize;
        for (int i = 0; i < loaded->HeaderCount; i++)
        {
            ProgramHeader* header = loaded->Headers + i;
            if (header->Type != Libc.PT_LOAD || (header->Flags & Libc.PF_W) != 0)
            {
                continue;
            }

            long first = (long)(loaded->Base + header->VirtualAddress);
            long start = first / page * page;
            long end = (first + (long)header->MemoryBytes + page - 1) / page * page;
            if (!isProgram || (header->Flags & Libc.PF_X) != 0)
            {
                // What is never written to, not even by relocation, the file has just as it is.
                Release(start, end);
            }
            else
            {
                // The runtime keeps values of its own among the program's constants, which it writes once, at its start: those must stay.
                FindUnwritten(start, end, page);
            }
        }

        return 0;
    }

    /// <summary>Notes those pages that are still the file's.</summary>
    private static void FindUnwritten(long start, long end, long page)
    {
        ulong* entries = stackalloc ulong[EntriesAtOnce];
        for (long from = start; _pageMap >= 0 && from < end; from += EntriesAtOnce * page)
        {
            nuint bytes = (nuint)(Math.Min(EntriesAtOnce, (end - from) / page) * sizeof(ulong));
            nint count = Libc.pread(_pageMap, (byte*)entries, bytes, from / page * sizeof(ulong)) / sizeof(ulong);
            for (int first = 0, next; first < count; first = next + 1)
            {
                next = first;
                while (next < count && ((entries[next] & IsFilePage) != 0 || (entries[next] & IsThere) == 0))
                {
                    next++;
                }

                if (next > first)
                {
                    _unwritten.Add((from + (first * page), from + (next * page)));
                }
            }
        }
    }

    /// <summary>Advice: if the kernel does not take it, the pages stay.</summary>
    private static void Release(long start, long end) => _ = Libc.madvise((void*)start, (nuint)(end - start), Libc.MADV_DONTNEED);
}
