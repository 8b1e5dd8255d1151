using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>Descriptors that travel between processes: socketpair(2), sendmsg(2), cmsg(3), memfd_create(2).</summary>
public static unsafe partial class Libc
{
    public const int SOCK_SEQPACKET = 5;
    public const int SCM_RIGHTS = 1;
    public const int MSG_DONTWAIT = 0x40;
    public const int MSG_CTRUNC = 0x8;
    public const int MSG_CMSG_CLOEXEC = 0x40000000;
    public const uint MFD_CLOEXEC = 1;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, int* both);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint sendmsg(int fd, MessageHeader* message, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint recvmsg(int fd, MessageHeader* message, int flags);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int memfd_create(string name, uint flags);
}

/// <summary><c>struct msghdr</c> of glibc on 64-bit Linux.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct MessageHeader
{
    public void* Name;
    public uint NameLength;
    public IoVector* Vectors;
    public nuint VectorCount;
    public void* Control;
    public nuint ControlLength;
    public int Flags;
}

/// <summary><c>struct iovec</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct IoVector
{
    public void* Start;
    public nuint Length;
}

/// <summary><c>struct cmsghdr</c>; the data follow it at once, aligned as it is.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ControlHeader
{
    public nuint Length;
    public int Level;
    public int Type;
}
