using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Postern.Bench;

/// <summary>
/// The part of libc and libssl that the fakes and the load generator need. Their own, not Postern.Interop's: what judges
/// the proxy shares no code with it.
/// </summary>
internal static unsafe partial class Native
{
    public const int AF_INET = 2;
    public const int SOCK_STREAM = 1;
    public const int SOCK_NONBLOCK = 0x800;
    public const int SOCK_CLOEXEC = 0x80000;
    public const int SOL_SOCKET = 1;
    public const int SO_REUSEADDR = 2;
    public const int IPPROTO_IP = 0;
    public const int IP_BIND_ADDRESS_NO_PORT = 24;
    public const int IPPROTO_TCP = 6;
    public const int TCP_NODELAY = 1;
    public const int MSG_NOSIGNAL = 0x4000;
    public const int EAGAIN = 11;
    public const int EINPROGRESS = 115;
    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_MOD = 3;
    public const int EPOLL_CLOEXEC = 0x80000;
    public const uint EPOLLIN = 1;
    public const uint EPOLLOUT = 4;
    public const uint EPOLLRDHUP = 0x2000;
    public const uint EPOLLET = 1u << 31;
    public const int CLOCK_THREAD_CPUTIME_ID = 3;
    public const int RLIMIT_NOFILE = 7;
    public const int SIGKILL = 9;
    public const int SIGTERM = 15;
    public const int PR_SET_PDEATHSIG = 1;

    public const int SSL_ERROR_WANT_READ = 2;
    public const int SSL_ERROR_WANT_WRITE = 3;
    public const int SSL_ERROR_ZERO_RETURN = 6;
    public const int SSL_CTRL_MODE = 33;
    public const int SSL_CTRL_SET_READ_AHEAD = 41;
    public const int SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
    public const int SSL_CTRL_SET_MAX_PROTO_VERSION = 124;
    public const int SSL_MODE_ENABLE_PARTIAL_WRITE = 1;
    public const int SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2;
    public const int SSL_MODE_RELEASE_BUFFERS = 16;
    public const ulong SSL_OP_IGNORE_UNEXPECTED_EOF = 0x80;
    public const int SSL_SENT_AND_RECEIVED_SHUTDOWN = 3;
    public const int TLS1_2_VERSION = 0x303;
    public const int TLS1_3_VERSION = 0x304;

    private const string Libc = "libc.so.6";
    private const string Libssl = "libssl.so.3";

    private static int _portsTried;

    /// <summary>x64 packs epoll_event, other machines align it.</summary>
    public static int EpollEventSize { get; } = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int connect(int fd, byte* address, uint length);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int bind(int fd, byte* address, uint length);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int listen(int fd, int backlog);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int accept4(int fd, byte* address, uint* length, int flags);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int getsockname(int fd, byte* address, uint* length);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int setsockopt(int fd, int level, int name, int* value, uint length);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial nint recv(int fd, byte* buffer, nuint length, int flags);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial nint send(int fd, byte* buffer, nuint length, int flags);

    [LibraryImport(Libc)]
    public static partial int close(int fd);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int epoll_create1(int flags);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int epoll_ctl(int epoll, int op, int fd, byte* e);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int epoll_wait(int epoll, byte* events, int max, int timeoutMilliseconds);

    [LibraryImport(Libc)]
    public static partial int clock_gettime(int clock, long* secondsAndNanoseconds);

    [LibraryImport(Libc)]
    public static partial int kill(int process, int signal);

    [LibraryImport(Libc)]
    public static partial int getrlimit(int resource, ulong* softAndHard);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int prctl(int option, nuint value);

    [LibraryImport(Libc, SetLastError = true)]
    public static partial int setrlimit(int resource, ulong* softAndHard);

    [LibraryImport(Libssl)]
    public static partial nint TLS_client_method();

    [LibraryImport(Libssl)]
    public static partial nint SSL_CTX_new(nint method);

    [LibraryImport(Libssl)]
    public static partial nint SSL_CTX_ctrl(nint context, int command, nint longArgument, nint pointerArgument);

    [LibraryImport(Libssl)]
    public static partial ulong SSL_CTX_set_options(nint context, ulong options);

    [LibraryImport(Libssl)]
    public static partial nint SSL_new(nint context);

    [LibraryImport(Libssl)]
    public static partial void SSL_free(nint ssl);

    [LibraryImport(Libssl)]
    public static partial int SSL_set_fd(nint ssl, int fd);

    [LibraryImport(Libssl)]
    public static partial void SSL_set_connect_state(nint ssl);

    [LibraryImport(Libssl)]
    public static partial int SSL_do_handshake(nint ssl);

    [LibraryImport(Libssl)]
    public static partial int SSL_read(nint ssl, byte* buffer, int length);

    [LibraryImport(Libssl)]
    public static partial int SSL_write(nint ssl, byte* buffer, int length);

    [LibraryImport(Libssl)]
    public static partial int SSL_shutdown(nint ssl);

    [LibraryImport(Libssl)]
    public static partial void SSL_set_shutdown(nint ssl, int mode);

    [LibraryImport(Libssl)]
    public static partial int SSL_get_error(nint ssl, int result);

    [LibraryImport(Libssl)]
    public static partial int SSL_session_reused(nint ssl);

    [LibraryImport(Libssl)]
    public static partial int SSL_set_session(nint ssl, nint session);

    [LibraryImport(Libssl)]
    public static partial nint SSL_get1_session(nint ssl);

    [LibraryImport(Libssl)]
    public static partial void SSL_SESSION_free(nint session);

    [LibraryImport(Libssl)]
    public static partial int SSL_SESSION_has_ticket(nint session);

    [LibraryImport("libcrypto.so.3")]
    public static partial void ERR_clear_error();

    public static int LastError => Marshal.GetLastPInvokeError();

    /// <summary>Processor time of a whole process, threads that have ended included (clock_getcpuclockid(3)).</summary>
    /// <returns>Nanoseconds; 0 if the process is gone.</returns>
    public static long ProcessCpuNanoseconds(int process)
    {
        const int SchedulerClock = 2;
        return ClockNanoseconds((~process << 3) | SchedulerClock);
    }

    public static long ThreadCpuNanoseconds() => ClockNanoseconds(CLOCK_THREAD_CPUTIME_ID);

    public static int NewSocket() => Check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket()");

    /// <summary>Lets this process and those it starts have so many descriptors, or as many as the system allows.</summary>
    /// <returns>How many they may have.</returns>
    public static long AllowDescriptors(long count)
    {
        ulong* limits = stackalloc ulong[2];
        _ = Check(getrlimit(RLIMIT_NOFILE, limits), "getrlimit()");
        ulong hard = limits[1];
        limits[0] = Math.Max(limits[0], (ulong)count);
        limits[1] = Math.Max(hard, limits[0]);
        if (setrlimit(RLIMIT_NOFILE, limits) < 0)
        {
            // Without the right to raise the hard limit.
            limits[0] = limits[1] = hard;
            _ = Check(setrlimit(RLIMIT_NOFILE, limits), "setrlimit()");
        }

        return (long)Math.Min(limits[0], long.MaxValue);
    }

    /// <summary>A listening socket at a loopback address.</summary>
    /// <param name="port">0 = any free one; on return the port taken.</param>
    /// <param name="host">0 = 127.0.0.1, else as in <see cref="WriteAddress"/>.</param>
    public static int Listen(ref int port, int host = 0)
    {
        const int Backlog = 4096;
        int fd = NewSocket();
        int on = 1;
        _ = Check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(int)), "setsockopt()");
        byte* address = stackalloc byte[16];
        WriteAddress(address, port, host);
        _ = Check(bind(fd, address, 16), "bind()");
        _ = Check(listen(fd, Backlog), "listen()");
        uint length = 16;
        _ = Check(getsockname(fd, address, &length), "getsockname()");
        port = BinaryPrimitives.ReadUInt16BigEndian(new ReadOnlySpan<byte>(address + 2, 2));
        return fd;
    }

    /// <summary>
    /// A port nobody listens on now, each once in the life of this process. Below the kernel's ephemeral range (32768 and up): out of it
    /// an outgoing connection might take it before the proxy does.
    /// </summary>
    public static int FreePort()
    {
        const int First = 10_000;
        const int Count = 20_000;
        byte* address = stackalloc byte[16];
        for (int tries = 0; tries < Count; tries++)
        {
            int port = First + ((Environment.ProcessId + _portsTried++) % Count);
            WriteAddress(address, port);
            int fd = NewSocket();
            int result = bind(fd, address, 16);
            _ = close(fd);
            if (result == 0)
            {
                return port;
            }
        }

        throw new LoadFailedException("no loopback port is free");
    }

    /// <summary>sockaddr_in of 127.0.0.1, or of 127.0.1.<paramref name="host"/> if that is not 0.</summary>
    public static void WriteAddress(byte* target, int port, int host = 0)
    {
        new Span<byte>(target, 16).Clear();
        *(ushort*)target = AF_INET;
        BinaryPrimitives.WriteUInt16BigEndian(new Span<byte>(target + 2, 2), (ushort)port);
        target[4] = 127;
        target[6] = (byte)(host == 0 ? 0 : 1);
        target[7] = (byte)(host == 0 ? 1 : host);
    }

    public static int NewEpoll() => Check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1()");

    public static void Watch(int epoll, int op, int fd, uint events, int data)
    {
        byte* e = stackalloc byte[16];
        *(uint*)e = events;
        *(ulong*)(e + EpollEventSize - 8) = (uint)data;
        _ = Check(epoll_ctl(epoll, op, fd, e), "epoll_ctl()");
    }

    /// <summary>The data given to <see cref="Watch"/> for event number <paramref name="index"/>.</summary>
    public static int EventData(byte* events, int index) => *(int*)(events + ((index + 1) * EpollEventSize) - 8);

    public static int Check(int result, string call) =>
        result >= 0 ? result : throw new InvalidOperationException($"{call} failed: {Marshal.GetLastPInvokeErrorMessage()}");

    private static long ClockNanoseconds(int clock)
    {
        long* time = stackalloc long[2];
        return clock_gettime(clock, time) == 0 ? (time[0] * 1_000_000_000) + time[1] : 0;
    }
}
