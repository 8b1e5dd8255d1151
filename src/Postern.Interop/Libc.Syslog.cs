using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>The C library: what the error log needs beyond files. Names are prefixed so that other rooms' imports stay their own.</summary>
public static partial class Libc
{
    /// <summary>dup3(2): makes <paramref name="newFd"/> another name of <paramref name="oldFd"/>'s file, atomically.</summary>
    [LibraryImport("libc.so.6", EntryPoint = "dup3", SetLastError = true)]
    public static partial int log_dup3(int oldFd, int newFd, int flags);

    /// <summary>Opens a connected, non-blocking datagram socket; errno by <see cref="Marshal.GetLastPInvokeError"/>.</summary>
    /// <param name="sockaddr">A complete <c>sockaddr_in</c>, <c>sockaddr_in6</c> or <c>sockaddr_un</c>.</param>
    /// <returns>A descriptor the caller closes, or -1.</returns>
    public static unsafe int log_open_datagram(ReadOnlySpan<byte> sockaddr)
    {
        const int sockDgram = 2;
        const int sockNonblock = 0x800;
        const int sockCloexec = 0x80000;
        ushort family = MemoryMarshal.Read<ushort>(sockaddr);
        int fd = log_socket(family, sockDgram | sockNonblock | sockCloexec, 0);
        if (fd < 0)
        {
            return -1;
        }

        fixed (byte* start = sockaddr)
        {
            if (log_connect(fd, start, (uint)sockaddr.Length) == 0)
            {
                return fd;
            }
        }

        int errno = Marshal.GetLastPInvokeError();
        _ = close(fd);
        Marshal.SetLastPInvokeError(errno);
        return -1;
    }

    /// <summary>Sends one datagram without waiting; errno by <see cref="Marshal.GetLastPInvokeError"/>.</summary>
    /// <returns>Bytes sent, or -1.</returns>
    public static unsafe nint log_send_datagram(int fd, ReadOnlySpan<byte> datagram)
    {
        const int msgNosignal = 0x4000;
        fixed (byte* start = datagram)
        {
            return log_sendto(fd, start, (nuint)datagram.Length, msgNosignal, null, 0);
        }
    }

    [LibraryImport("libc.so.6", EntryPoint = "socket", SetLastError = true)]
    private static partial int log_socket(int domain, int type, int protocol);

    [LibraryImport("libc.so.6", EntryPoint = "connect", SetLastError = true)]
    private static unsafe partial int log_connect(int fd, byte* address, uint length);

    [LibraryImport("libc.so.6", EntryPoint = "sendto", SetLastError = true)]
    private static unsafe partial nint log_sendto(int fd, byte* buffer, nuint length, int flags, byte* address, uint addressLength);
}
