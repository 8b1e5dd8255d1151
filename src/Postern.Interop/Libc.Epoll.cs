using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>epoll(7) and eventfd(2).</summary>
public static unsafe partial class Libc
{
    public const uint EPOLLIN = 0x1;
    public const uint EPOLLPRI = 0x2;
    public const uint EPOLLOUT = 0x4;
    public const uint EPOLLERR = 0x8;
    public const uint EPOLLHUP = 0x10;
    public const uint EPOLLRDHUP = 0x2000;
    public const uint EPOLLEXCLUSIVE = 1u << 28;
    public const uint EPOLLET = 1u << 31;

    public const int EPOLL_CLOEXEC = 0x80000;
    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_DEL = 2;
    public const int EPOLL_CTL_MOD = 3;

    public const int EFD_NONBLOCK = 0x800;
    public const int EFD_CLOEXEC = 0x80000;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int epoll_create1(int flags);

    /// <summary>The last argument points at a <c>struct epoll_event</c>, see <see cref="EpollEvents"/>.</summary>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int epoll_ctl(int epfd, int op, int fd, byte* data);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int epoll_wait(int epfd, byte* events, int maxEvents, int timeoutMilliseconds);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int eventfd(uint initial, int flags);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint read(int fd, byte* buffer, nuint length);
}

/// <summary>
/// Layout of <c>struct epoll_event</c>: packed (12 bytes) on x86-64, naturally aligned (16 bytes) elsewhere.
/// </summary>
public static unsafe class EpollEvents
{
    private static readonly bool _packed = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86;

    /// <summary>Size of one event in bytes.</summary>
    public static int Size => _packed ? 12 : 16;

    private static int DataOffset => _packed ? 4 : 8;

    public static uint Events(byte* events, int index) => *(uint*)(events + (index * Size));

    public static ulong Data(byte* events, int index) => *(ulong*)(events + (index * Size) + DataOffset);

    public static void Set(byte* target, uint events, ulong data)
    {
        *(uint*)target = events;
        *(ulong*)(target + DataOffset) = data;
    }
}
