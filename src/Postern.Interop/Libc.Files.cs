using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>The C library: files and the numbers of the process and thread.</summary>
public static partial class Libc
{
    public const int O_RDONLY = 0x0;
    public const int O_WRONLY = 0x1;
    public const int O_CREAT = 0x40;
    public const int O_APPEND = 0x400;
    public const int O_CLOEXEC = 0x80000;

    /// <summary>open(2); errno by <see cref="Marshal.GetLastPInvokeError"/>.</summary>
    /// <returns>A descriptor the caller closes, or -1.</returns>
    [LibraryImport("libc.so.6", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string path, int flags, int mode);

    /// <summary>write(2); errno by <see cref="Marshal.GetLastPInvokeError"/>.</summary>
    /// <returns>Bytes written, possibly fewer than <paramref name="count"/>, or -1.</returns>
    [LibraryImport("libc.so.6", SetLastError = true)]
    public static unsafe partial nint write(int fd, byte* buffer, nuint count);

    /// <summary>pread(2).</summary>
    /// <returns>Bytes read, 0 at the end of the file, or -1.</returns>
    [LibraryImport("libc.so.6", SetLastError = true)]
    public static unsafe partial nint pread(int fd, byte* buffer, nuint count, nint offset);

    /// <summary>close(2); errno by <see cref="Marshal.GetLastPInvokeError"/>. Not repeated: the number is free even after EINTR.</summary>
    [LibraryImport("libc.so.6", SetLastError = true)]
    public static partial int close(int fd);

    /// <summary>gettid(2), glibc 2.30 and later.</summary>
    [LibraryImport("libc.so.6")]
    public static partial int gettid();

    /// <summary>getpid(2).</summary>
    [LibraryImport("libc.so.6")]
    public static partial int getpid();

    /// <summary>write(2) of a whole span in one call.</summary>
    /// <returns>Bytes written, or -1 with errno in <see cref="Marshal.GetLastPInvokeError"/>.</returns>
    public static unsafe nint write(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return write(fd, start, (nuint)bytes.Length);
        }
    }
}
