using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Postern.Interop;

namespace Postern.Net.Listening;

/// <summary>
/// The bound and listening descriptors of one <see cref="ListenPlan"/>, one per loop (SO_REUSEPORT); unix sockets have
/// one that all loops share.
/// </summary>
public sealed unsafe class ListeningSocket : IDisposable
{
    /// <summary>Permissions of unix sockets, as nginx sets them.</summary>
    private const uint UnixSocketMode = 0b110_110_110;

    private readonly List<int> _descriptors = [];

    private ListeningSocket(ListenPlan plan)
    {
        Plan = plan;
    }

    /// <summary>What it was opened for, or what it was last told by <see cref="Configure"/>.</summary>
    public ListenPlan Plan { get; private set; }

    private EndpointAddress Address => Plan.Socket.Settings.Address;

    /// <summary>Creates, binds and listens.</summary>
    /// <param name="plan">What to bind.</param>
    /// <param name="loops">Number of loops that will accept.</param>
    /// <param name="besideOurs">
    /// Another socket of ours has the same port (a wildcard beside own sockets); it must have been told to
    /// <see cref="AllowSharing"/>.
    /// </param>
    /// <exception cref="SystemCallException"><c>bind() to 0.0.0.0:143 failed (98: Address already in use)</c>.</exception>
    public static ListeningSocket Open(ListenPlan plan, int loops, bool besideOurs = false)
    {
        var socket = new ListeningSocket(plan);
        try
        {
            int wanted = plan.Socket.Settings.Address.Family == AddressFamilyKind.Unix ? 1 : loops;
            for (int i = 0; i < wanted; i++)
            {
                socket.Bind(sharesBefore: besideOurs || i > 0, sharesAfter: wanted > 1);
            }

            socket.ListenAll(from: 0);
            return socket;
        }
        catch
        {
            socket.Close(removeFile: true);
            throw;
        }
    }

    /// <summary>Whether it is one of MPTCP: not if the kernel has none, or if it was opened before that was asked for.</summary>
    public bool IsMultipath => Get(Libc.SOL_SOCKET, Libc.SO_PROTOCOL) == Libc.IPPROTO_MPTCP;

    /// <summary>IPV6_V6ONLY, which is what it was bound with.</summary>
    public bool IsIpv6Only => Get(Libc.IPPROTO_IPV6, Libc.IPV6_V6ONLY) == 1;

    /// <summary>All descriptors, in the order of the loops.</summary>
    public IReadOnlyList<int> Descriptors => _descriptors;

    /// <summary>Takes descriptors another process has bound and listens on; they are this object's then.</summary>
    /// <param name="plan">What they are bound to.</param>
    /// <param name="descriptors">At least one, in the order of the loops.</param>
    /// <param name="loops">Number of loops that will accept; missing ones are bound beside those there are.</param>
    /// <exception cref="SystemCallException">One that is missing cannot be bound.</exception>
    public static ListeningSocket Adopt(ListenPlan plan, IReadOnlyList<int> descriptors, int loops)
    {
        var socket = new ListeningSocket(plan);
        socket._descriptors.AddRange(descriptors);
        if (plan.Socket.Settings.Address.Family != AddressFamilyKind.Unix && descriptors.Count < loops)
        {
            socket.AllowSharing();
            while (socket._descriptors.Count < loops)
            {
                socket.Bind(sharesBefore: true, sharesAfter: true);
            }
        }

        socket.ListenAll(descriptors.Count);
        return socket;
    }

    /// <summary>
    /// Puts the queue's length, buffers and keep-alive the plan gives on all descriptors, as a reload does with sockets that stay open.
    /// What the plan does not give stays as it was.
    /// </summary>
    /// <param name="plan">One for the same address.</param>
    /// <returns>What the kernel refused, one line each: <c>setsockopt(TCP_KEEPIDLE, 36000) 127.0.0.1:143 failed, ignored (22: Invalid argument)</c>.</returns>
    public IEnumerable<string> Configure(ListenPlan plan)
    {
        Plan = plan;
        List<string> refused = [];
        foreach (int descriptor in _descriptors)
        {
            SetGivenOptions(descriptor, refused);
            if (Libc.listen(descriptor, plan.Socket.Settings.Backlog) != 0)
            {
                refused.Add(Refusal(ListenCall));
            }
        }

        return refused.Distinct();
    }

    /// <summary>What a listening descriptor is bound to; null if it is no socket of a family we know, or does not listen.</summary>
    public static EndpointAddress? AddressOf(int descriptor)
    {
        byte* buffer = stackalloc byte[Libc.SockaddrBytes];
        uint length = Libc.SockaddrBytes;
        int listens = 0;
        uint size = sizeof(int);
        if (Libc.getsockopt(descriptor, Libc.SOL_SOCKET, Libc.SO_ACCEPTCONN, &listens, &size) != 0
            || listens == 0
            || Libc.getsockname(descriptor, buffer, &length) != 0)
        {
            return null;
        }

        var address = new ReadOnlySpan<byte>(buffer, (int)length);
        return BitConverter.ToUInt16(address) switch
        {
            Libc.AF_INET or Libc.AF_INET6 => SocketAddresses.Read(address),
            Libc.AF_UNIX => EndpointAddress.FromUnixPath(Encoding.UTF8.GetString(address[2..].TrimEnd((byte)0))),
            _ => null,
        };
    }

    /// <summary>
    /// The descriptors loop number <paramref name="loop"/> accepts from: one, unless more were inherited than there are loops, whose
    /// clients would wait for ever.
    /// </summary>
    public IEnumerable<int> DescriptorsFor(int loop, int loops) => Address.Family == AddressFamilyKind.Unix
        ? _descriptors
        : _descriptors.Where((_, index) => index % loops == loop);

    /// <summary>Lets other sockets of ours be bound to the same port.</summary>
    public void AllowSharing() =>
        _descriptors.ForEach(descriptor => Set(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEPORT, 1, "SO_REUSEPORT"));

    /// <summary>Closes the descriptors and removes a unix socket's file.</summary>
    public void Dispose() => Close(removeFile: true);

    /// <summary>Closes the descriptors.</summary>
    /// <param name="removeFile">Whether a unix socket's file goes, too.</param>
    public void Close(bool removeFile)
    {
        foreach (int descriptor in _descriptors)
        {
            _ = Libc.close(descriptor);
        }

        if (removeFile && _descriptors.Count > 0 && Address.Family == AddressFamilyKind.Unix)
        {
            // The file may be gone already; there is nothing else to do about it at the end.
            _ = Libc.unlink(Address.UnixPath);
        }

        _descriptors.Clear();
    }

    private void Bind(bool sharesBefore, bool sharesAfter)
    {
        int family = SocketAddresses.NativeFamily(Address);
        const int Type = Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC;
        int descriptor = Libc.socket(family, Type, Plan.Socket.Settings.Multipath ? Libc.IPPROTO_MPTCP : 0);
        if (descriptor < 0 && Plan.Socket.Settings.Multipath && family != Libc.AF_UNIX && LacksProtocol(Marshal.GetLastPInvokeError()))
        {
            descriptor = Libc.socket(family, Type, 0);
        }

        _ = Check(descriptor, $"socket() {Address}");
        try
        {
            SetOptions(descriptor, family);
            if (sharesBefore)
            {
                Set(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEPORT, 1, "SO_REUSEPORT");
            }

            byte* buffer = stackalloc byte[Libc.SockaddrBytes];
            int length = SocketAddresses.Write(Address, new Span<byte>(buffer, Libc.SockaddrBytes));
            _ = Check(Libc.bind(descriptor, buffer, (uint)length), $"bind() to {Address}");
            if (sharesAfter && !sharesBefore)
            {
                // Only after bind(): with the option set before, a second program could bind the same port unnoticed.
                Set(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEPORT, 1, "SO_REUSEPORT");
            }

            if (family == Libc.AF_UNIX)
            {
                _ = Check(Libc.chmod(Address.UnixPath, UnixSocketMode), $"chmod() \"{Address.UnixPath}\"");
            }
        }
        catch
        {
            _ = Libc.close(descriptor);
            throw;
        }

        _descriptors.Add(descriptor);
    }

    /// <summary>A kernel built without MPTCP, or told not to use it (<c>net.mptcp.enabled</c>).</summary>
    private static bool LacksProtocol(int errno) => errno is Libc.EPROTONOSUPPORT or Libc.ENOPROTOOPT;

    private string ListenCall => $"listen() to {Address}, backlog {Plan.Socket.Settings.Backlog}";

    private void ListenAll(int from)
    {
        foreach (int descriptor in _descriptors.Skip(from))
        {
            _ = Check(Libc.listen(descriptor, Plan.Socket.Settings.Backlog), ListenCall);
        }
    }

    private void SetOptions(int descriptor, int family)
    {
        Set(descriptor, Libc.SOL_SOCKET, Libc.SO_REUSEADDR, 1, "SO_REUSEADDR");
        if (family == Libc.AF_INET6)
        {
            Set(descriptor, Libc.IPPROTO_IPV6, Libc.IPV6_V6ONLY, Plan.Socket.Settings.Ipv6Only ? 1 : 0, "IPV6_V6ONLY");
        }

        if (family != Libc.AF_UNIX)
        {
            // Accepted sockets inherit this, and what follows, from the listening one.
            Set(descriptor, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1, "TCP_NODELAY");
        }

        // The first client is to have them already. What is refused here is refused by Configure again, which says so.
        SetGivenOptions(descriptor, refused: []);
    }

    private void SetGivenOptions(int descriptor, List<string> refused)
    {
        ListenSettings settings = Plan.Socket.Settings;
        TrySetIfGiven(Libc.SOL_SOCKET, Libc.SO_RCVBUF, settings.ReceiveBufferBytes, "SO_RCVBUF");
        TrySetIfGiven(Libc.SOL_SOCKET, Libc.SO_SNDBUF, settings.SendBufferBytes, "SO_SNDBUF");
        if (settings.KeepAlive is { } keepAlive)
        {
            TrySet(Libc.SOL_SOCKET, Libc.SO_KEEPALIVE, keepAlive ? 1 : 0, "SO_KEEPALIVE");
        }

        if (settings.Address.Family != AddressFamilyKind.Unix)
        {
            TrySetIfGiven(Libc.IPPROTO_TCP, Libc.TCP_KEEPIDLE, settings.KeepAliveIdleSeconds, "TCP_KEEPIDLE");
            TrySetIfGiven(Libc.IPPROTO_TCP, Libc.TCP_KEEPINTVL, settings.KeepAliveIntervalSeconds, "TCP_KEEPINTVL");
            TrySetIfGiven(Libc.IPPROTO_TCP, Libc.TCP_KEEPCNT, settings.KeepAliveCount, "TCP_KEEPCNT");
        }

        void TrySetIfGiven(int level, int name, int value, string text)
        {
            if (value > 0)
            {
                TrySet(level, name, value, text);
            }
        }

        void TrySet(int level, int name, int value, string text)
        {
            if (Libc.setsockopt(descriptor, level, name, &value, sizeof(int)) != 0)
            {
                refused.Add(Refusal(string.Create(CultureInfo.InvariantCulture, $"setsockopt({text}, {value}) {Address}")));
            }
        }
    }

    private static string Refusal(string call) => $"{call} failed, ignored ({Errno.LastText()})";

    private void Set(int descriptor, int level, int name, int value, string text) =>
        _ = Check(Libc.setsockopt(descriptor, level, name, &value, sizeof(int)), $"setsockopt({text}) {Address}");

    private int Get(int level, int name)
    {
        int value = 0;
        uint size = sizeof(int);
        _ = Check(Libc.getsockopt(_descriptors[0], level, name, &value, &size), $"getsockopt() {Address}");
        return value;
    }

    private static int Check(int result, string call) => result >= 0
        ? result
        : throw SystemCallException.FromErrno(call, Marshal.GetLastPInvokeError());
}
