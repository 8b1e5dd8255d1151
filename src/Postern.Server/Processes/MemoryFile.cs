using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Postern.Interop;
using Postern.Net;

namespace Postern.Server.Processes;

/// <summary>A file without a name that only processes that are given its descriptor can read (memfd_create(2)).</summary>
internal static class MemoryFile
{
    /// <returns>Its descriptor; the caller closes it.</returns>
    /// <exception cref="SystemCallException">The kernel has none to give.</exception>
    public static int Create()
    {
        int descriptor = Libc.memfd_create("postern configuration", Libc.MFD_CLOEXEC);
        return descriptor >= 0 ? descriptor : throw SystemCallException.FromErrno("memfd_create()", Marshal.GetLastPInvokeError());
    }

    /// <summary>From the beginning, without a buffer: keys must not stay behind in one. The descriptor stays the caller's.</summary>
    public static FileStream Open(int descriptor)
    {
        var stream = new FileStream(new SafeFileHandle(descriptor, ownsHandle: false), FileAccess.ReadWrite, bufferSize: 0);
        stream.Position = 0;
        return stream;
    }
}
