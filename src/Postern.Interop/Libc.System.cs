using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>Limits, identity and random bytes of the process: getrlimit(2), getrandom(2), unlink(2), chmod(2), mmap(2), mprotect(2), madvise(2).</summary>
public static unsafe partial class Libc
{
    public const int RLIMIT_CORE = 4;
    public const int RLIMIT_NOFILE = 7;
    public const int PRIO_PROCESS = 0;
    public const int PROT_NONE = 0;
    public const int PROT_READ_WRITE = 0x1 | 0x2;
    public const int MAP_PRIVATE_ANONYMOUS = 0x02 | 0x20;

    /// <summary>mmap(2) has failed.</summary>
    public const nint MAP_FAILED = -1;

    /// <summary>Advice: these pages are not needed soon.</summary>
    public const int MADV_DONTNEED = 4;

    /// <summary>Advice: these pages do not belong in a core dump.</summary>
    public const int MADV_DONTDUMP = 16;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int getrlimit(int resource, ulong* softAndHard);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int setrlimit(int resource, ulong* softAndHard);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint getrandom(byte* buffer, nuint length, uint flags);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int unlink(string path);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chmod(string path, uint mode);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chdir(string path);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int setpriority(int which, uint who, int priority);

    /// <summary>Gives memory that was freed back to the kernel, but for the given bytes at the top (malloc_trim(3), glibc).</summary>
    [LibraryImport(Library)]
    public static partial int malloc_trim(nuint keep);

    /// <summary>malloc(3). Unlike the runtime's own it says null when there is no memory.</summary>
    [LibraryImport(Library)]
    public static partial void* malloc(nuint bytes);

    /// <returns>An address, or <see cref="MAP_FAILED"/> with errno set.</returns>
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint mmap(nint address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int munmap(nint address, nuint length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int mprotect(nint address, nuint length, int protection);

    /// <summary>signal(2) with <c>SIG_DFL</c> (0) or <c>SIG_IGN</c> (1).</summary>
    [LibraryImport(Library)]
    public static partial nint signal(int number, nint disposition);

    /// <param name="start">At the beginning of a page.</param>
    /// <param name="length">In bytes.</param>
    /// <param name="advice">MADV_…</param>
    /// <returns>0, or -1 with errno set.</returns>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int madvise(void* start, nuint length, int advice);
}
