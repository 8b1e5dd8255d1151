using Postern.Interop;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;

namespace Postern.Server.Running;

/// <summary>The listening sockets of the process, by address; a reload keeps those that stay.</summary>
internal sealed class ListeningSockets : IDisposable
{
    /// <summary>How often a busy address is tried, and how long between (mail-proxy 1.9).</summary>
    private const int BindAttempts = 5;

    private static readonly TimeSpan _bindPause = TimeSpan.FromMilliseconds(500);

    private readonly Dictionary<EndpointAddress, ListeningSocket> _sockets = [];
    private readonly Dictionary<EndpointAddress, List<int>> _inherited = [];

    /// <summary>Another process listens on the unix sockets, too, or will: their files stay when they are closed here.</summary>
    public bool KeepFiles { get; set; }

    /// <summary>Hears the path of each unix socket whose file was made: it is there from then on, whatever becomes of this process.</summary>
    public Action<string>? UnixFileMade { get; init; }

    public IEnumerable<ListeningSocket> All => _sockets.Values;

    /// <summary>
    /// Takes sockets another process has opened. The next <see cref="TryOpen"/> uses those it wants and closes the others.
    /// </summary>
    public void Inherit(IEnumerable<int> descriptors)
    {
        foreach (int descriptor in descriptors)
        {
            if (ListeningSocket.AddressOf(descriptor) is not { } address)
            {
                _ = Libc.close(descriptor);
                continue;
            }

            if (!_inherited.TryGetValue(address, out List<int>? sockets))
            {
                _inherited.Add(address, sockets = []);
            }

            sockets.Add(descriptor);
        }
    }

    public ListeningSocket? Find(ListenPlan plan) => _sockets.GetValueOrDefault(plan.Socket.Settings.Address);

    /// <summary>Opens what the plans want and is not open yet. All or nothing.</summary>
    /// <param name="plans">The sockets wanted.</param>
    /// <param name="loops">Number of loops.</param>
    /// <param name="report">Hears each failed attempt, at emerg, and that there will be another, at notice.</param>
    /// <param name="opened">The new sockets, if all could be opened.</param>
    public bool TryOpen(IReadOnlyList<ListenPlan> plans, int loops, Action<LogLevel, string> report, out List<ListeningSocket> opened)
    {
        opened = [];
        try
        {
            AdoptInherited(plans, loops);
        }
        catch (SystemCallException e)
        {
            report(LogLevel.Emerg, e.Message);
            return false;
        }

        for (int attempt = 1; ; attempt++)
        {
            bool busy = false;
            foreach (ListenPlan plan in plans)
            {
                if (Find(plan) is not null || opened.Exists(socket => socket.Plan == plan))
                {
                    continue;
                }

                try
                {
                    List<ListeningSocket> neighbours = [.. _sockets.Values.Concat(opened).Where(socket => IsNeighbour(socket, plan))];
                    neighbours.ForEach(socket => socket.AllowSharing());
                    opened.Add(ListeningSocket.Open(plan, loops, neighbours.Count > 0));
                    if (plan.Socket.Settings.Address.UnixPath is { Length: > 0 } path)
                    {
                        UnixFileMade?.Invoke(path);
                    }
                }
                catch (SystemCallException e)
                {
                    report(LogLevel.Emerg, e.Message);
                    if (!e.IsAddressInUse)
                    {
                        Close(opened);
                        return false;
                    }

                    busy = true;
                }
            }

            if (!busy)
            {
                opened.ForEach(socket => _sockets.Add(socket.Plan.Socket.Settings.Address, socket));
                return true;
            }

            if (attempt == BindAttempts)
            {
                report(LogLevel.Emerg, "still could not bind()");
                Close(opened);
                return false;
            }

            report(LogLevel.Notice, "try again to bind() after 500ms");
            using var never = new ManualResetEventSlim();
            never.Wait(_bindPause);
        }
    }

    /// <summary>
    /// Puts on the open sockets what the plans say and can still be changed. After <see cref="TryOpen"/>, when nothing can fail any more.
    /// </summary>
    /// <param name="plans">Those of the last <see cref="TryOpen"/>.</param>
    /// <param name="report">Hears what the kernel refused, at alert, and what only a restart can change, at warn.</param>
    public void Configure(IReadOnlyList<ListenPlan> plans, Action<LogLevel, string> report)
    {
        foreach (ListenPlan plan in plans)
        {
            ListeningSocket socket = _sockets[plan.Socket.Settings.Address];
            foreach (string refused in socket.Configure(plan))
            {
                report(LogLevel.Alert, refused);
            }

            ListenSettings settings = plan.Socket.Settings;
            if (settings.Multipath && !socket.IsMultipath)
            {
                report(LogLevel.Warn, $"\"multipath\" of {settings.Text} is ignored: the kernel has no MPTCP (net.mptcp.enabled), or the socket was opened without it and a restart is needed");
            }

            if (settings.Address.Family == AddressFamilyKind.Inet6 && settings.Ipv6Only != socket.IsIpv6Only)
            {
                string wanted = settings.Ipv6Only ? "on" : "off";
                report(LogLevel.Warn, $"\"ipv6only={wanted}\" of {settings.Text} is ignored: the socket was opened with the other value, a restart is needed");
            }
        }
    }

    /// <summary>Takes the socket out; the caller closes it once no loop uses it.</summary>
    public void Forget(ListeningSocket socket) => _sockets.Remove(socket.Plan.Socket.Settings.Address);

    /// <summary>Closes a socket no loop uses any more.</summary>
    public void Close(ListeningSocket socket) => socket.Close(removeFile: !KeepFiles);

    public void Dispose()
    {
        foreach (ListeningSocket socket in _sockets.Values)
        {
            Close(socket);
        }

        _sockets.Clear();
    }

    private void AdoptInherited(IReadOnlyList<ListenPlan> plans, int loops)
    {
        foreach (ListenPlan plan in plans)
        {
            EndpointAddress address = plan.Socket.Settings.Address;
            if (Find(plan) is null && _inherited.Remove(address, out List<int>? sockets))
            {
                _sockets.Add(address, ListeningSocket.Adopt(plan, sockets, loops));
            }
        }

        foreach (int unused in _inherited.Values.SelectMany(sockets => sockets))
        {
            _ = Libc.close(unused);
        }

        _inherited.Clear();
    }

    /// <summary>Whether the socket has the plan's port: the kernel lets a wildcard and own sockets share it only if all agree.</summary>
    private static bool IsNeighbour(ListeningSocket socket, ListenPlan plan)
    {
        EndpointAddress ours = socket.Plan.Socket.Settings.Address;
        EndpointAddress wanted = plan.Socket.Settings.Address;
        return ours.Family != AddressFamilyKind.Unix && ours.Family == wanted.Family && ours.Port == wanted.Port
            && (ours.IsWildcard || wanted.IsWildcard);
    }

    private static void Close(List<ListeningSocket> sockets)
    {
        sockets.ForEach(socket => socket.Close(removeFile: true));
        sockets.Clear();
    }
}
