using System.Runtime.InteropServices;

namespace Postern.Interop;

public static unsafe partial class Libc
{
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint write(int fd, byte* buffer, nuint length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int close(int fd);
}
