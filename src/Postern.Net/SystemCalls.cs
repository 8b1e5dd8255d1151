using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net;

/// <summary>
/// The calls into the kernel that move bytes and readiness. The seam at which tests replace the kernel by a script:
/// everything above it (readiness flags, wake-ups, parking, TLS) runs in a test without a socket.
/// Each method returns the kernel's result, or the negated errno.
/// </summary>
public abstract unsafe class SystemCalls
{
    /// <summary>socket(2) and connect(2) of a stream socket that does not block; a connection under way is a success.</summary>
    /// <param name="address">Where to.</param>
    /// <param name="failedCall">Which call failed, as nginx names it; empty if none.</param>
    /// <returns>The descriptor, or the negated errno.</returns>
    public abstract int Connect(EndpointAddress address, out string failedCall);

    /// <summary>getsockname(2); <paramref name="address"/> holds <see cref="Libc.SockaddrBytes"/> bytes.</summary>
    public abstract int GetLocalAddress(int fd, byte* address);

    /// <summary>recv(2). 0 = end of stream.</summary>
    public abstract int Receive(int fd, byte* buffer, int length);

    /// <summary>send(2) with MSG_NOSIGNAL.</summary>
    public abstract int Send(int fd, byte* buffer, int length);

    /// <summary>shutdown(2) of the sending side.</summary>
    public abstract int ShutdownSend(int fd);

    /// <summary>close(2).</summary>
    public abstract void Close(int fd);

    /// <summary>epoll_ctl(2) with EPOLL_CTL_ADD.</summary>
    public abstract int AddInterest(int epoll, int fd, uint events, ulong data);

    /// <summary>epoll_ctl(2) with EPOLL_CTL_MOD.</summary>
    public abstract int ModifyInterest(int epoll, int fd, uint events, ulong data);

    /// <summary>epoll_ctl(2) with EPOLL_CTL_DEL, for descriptors that stay open.</summary>
    public abstract int RemoveInterest(int epoll, int fd);

    /// <summary>epoll_wait(2). Events are laid out as <see cref="EpollEvents"/> says.</summary>
    public abstract int Wait(int epoll, byte* events, int maxEvents, int timeoutMilliseconds);

    /// <summary>Milliseconds of a clock that never jumps.</summary>
    public abstract long Milliseconds { get; }

    /// <summary>Whether the process could get so many bytes of memory more.</summary>
    public abstract bool HasRoomFor(long bytes);
}

/// <summary>The real kernel.</summary>
public sealed unsafe class LinuxSystemCalls : SystemCalls
{
    public static LinuxSystemCalls Instance { get; } = new();

    private readonly ControlGroupMemory _group = new();

    /// <summary>The most the collector may hold: all of the machine, or what a limit leaves it.</summary>
    private readonly long _managedLimit = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Addresses without memory, for <see cref="CanShare"/>.</summary>
    private readonly nint _reserve = Libc.mmap(0, (nuint)(MemoryGate.HeadroomBytes / 4), Libc.PROT_NONE, Libc.MAP_PRIVATE_ANONYMOUS, -1, 0);
    private readonly Lock _reserveLock = new();

    public override long Milliseconds => Environment.TickCount64;

    /// <summary>
    /// Limits of the process (RLIMIT_AS, RLIMIT_DATA, vm.overcommit_memory) make mmap(2) fail; those of its control group are in files. Memory
    /// that was freed may still be malloc's, and is good for the next client.
    /// </summary>
    public override bool HasRoomFor(long bytes) => _managedLimit - GC.GetTotalMemory(forceFullCollection: false) >= bytes
        && (_group.HasRoomFor(bytes) || (Libc.malloc_trim(0) != 0 && _group.HasRoomFor(bytes)))
        && (CanMap(bytes) || CanShare(bytes / 4));

    public override int Connect(EndpointAddress address, out string failedCall)
    {
        ArgumentNullException.ThrowIfNull(address);
        failedCall = "";
        int family = SocketAddresses.NativeFamily(address);
        int descriptor = Libc.socket(family, Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (descriptor < 0)
        {
            failedCall = "socket()";
            return -Marshal.GetLastPInvokeError();
        }

        if (family != Libc.AF_UNIX)
        {
            int on = 1;

            // Failing costs latency, not correctness.
            _ = Libc.setsockopt(descriptor, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, &on, sizeof(int));
        }

        byte* buffer = stackalloc byte[Libc.SockaddrBytes];
        int length = SocketAddresses.Write(address, new Span<byte>(buffer, Libc.SockaddrBytes));
        if (Libc.connect(descriptor, buffer, (uint)length) < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != Libc.EINPROGRESS)
            {
                failedCall = $"connect() to {address}";
                Close(descriptor);
                return -errno;
            }
        }

        return descriptor;
    }

    public override int GetLocalAddress(int fd, byte* address)
    {
        uint length = Libc.SockaddrBytes;
        return Result(Libc.getsockname(fd, address, &length));
    }

    public override int Receive(int fd, byte* buffer, int length)
    {
        while (true)
        {
            int n = (int)Libc.recv(fd, buffer, (nuint)length, 0);
            if (n >= 0)
            {
                return n;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != Libc.EINTR)
            {
                return -errno;
            }
        }
    }

    public override int Send(int fd, byte* buffer, int length)
    {
        while (true)
        {
            int n = (int)Libc.send(fd, buffer, (nuint)length, Libc.MSG_NOSIGNAL);
            if (n >= 0)
            {
                return n;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno != Libc.EINTR)
            {
                return -errno;
            }
        }
    }

    public override int ShutdownSend(int fd) => Result(Libc.shutdown(fd, Libc.SHUT_WR));

    // Nothing can be done about a failing close(2): the descriptor is gone either way on Linux.
    public override void Close(int fd) => _ = Libc.close(fd);

    public override int AddInterest(int epoll, int fd, uint events, ulong data) => Control(epoll, Libc.EPOLL_CTL_ADD, fd, events, data);

    public override int ModifyInterest(int epoll, int fd, uint events, ulong data) => Control(epoll, Libc.EPOLL_CTL_MOD, fd, events, data);

    public override int RemoveInterest(int epoll, int fd) => Control(epoll, Libc.EPOLL_CTL_DEL, fd, 0, 0);

    public override int Wait(int epoll, byte* events, int maxEvents, int timeoutMilliseconds) =>
        Result(Libc.epoll_wait(epoll, events, maxEvents, timeoutMilliseconds));

    private static bool CanMap(long bytes)
    {
        nint address = Libc.mmap(0, (nuint)bytes, Libc.PROT_READ_WRITE, Libc.MAP_PRIVATE_ANONYMOUS, -1, 0);
        return address != Libc.MAP_FAILED && Libc.munmap(address, (nuint)bytes) == 0;
    }

    /// <summary>
    /// Whether malloc has so much while the collector could get some, too, as it does it: by making memory it has reserved accessible. What
    /// malloc once got it keeps, so that near the limit little is left for the collector, and need not be more for things to go on.
    /// </summary>
    private bool CanShare(long bytes)
    {
        lock (_reserveLock)
        {
            for (long collectors = bytes; collectors >= bytes / 4; collectors /= 2)
            {
                if (_reserve != Libc.MAP_FAILED && Libc.mprotect(_reserve, (nuint)collectors, Libc.PROT_READ_WRITE) == 0)
                {
                    bool can = CanAllocate(bytes);
                    _ = Libc.mprotect(_reserve, (nuint)collectors, Libc.PROT_NONE);
                    return can;
                }
            }

            return false;
        }
    }

    /// <summary>Asks malloc, in pieces of the size TLS takes, and gives all back untouched.</summary>
    private static bool CanAllocate(long bytes)
    {
        const int PieceBytes = 32 * 1024;
        void* all = null;
        long got = 0;
        while (got < bytes && Libc.malloc(PieceBytes) is var piece && piece != null)
        {
            // The pieces are chained by their first words.
            *(void**)piece = all;
            all = piece;
            got += PieceBytes;
        }

        while (all != null)
        {
            void* next = *(void**)all;
            NativeMemory.Free(all);
            all = next;
        }

        return got >= bytes;
    }

    private static int Control(int epoll, int op, int fd, uint events, ulong data)
    {
        byte* e = stackalloc byte[16];
        EpollEvents.Set(e, events, data);
        return Result(Libc.epoll_ctl(epoll, op, fd, e));
    }

    private static int Result(int result) => result >= 0 ? result : -Marshal.GetLastPInvokeError();
}
