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

    public IEnumerable<ListeningSocket> All => _sockets.Values;

    public ListeningSocket? Find(ListenPlan plan) => _sockets.GetValueOrDefault(plan.Socket.Settings.Address);

    /// <summary>Opens what the plans want and is not open yet. All or nothing.</summary>
    /// <param name="plans">The sockets wanted.</param>
    /// <param name="loops">Number of loops.</param>
    /// <param name="report">Hears each failed attempt.</param>
    /// <param name="opened">The new sockets, if all could be opened.</param>
    public bool TryOpen(IReadOnlyList<ListenPlan> plans, int loops, Action<string, bool> report, out List<ListeningSocket> opened)
    {
        opened = [];
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
                }
                catch (SystemCallException e)
                {
                    report(e.Message, true);
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
                report("still could not bind()", true);
                Close(opened);
                return false;
            }

            report("try again to bind() after 500ms", false);
            using var never = new ManualResetEventSlim();
            never.Wait(_bindPause);
        }
    }

    /// <summary>Takes the socket out; the caller closes it once no loop uses it.</summary>
    public void Forget(ListeningSocket socket) => _sockets.Remove(socket.Plan.Socket.Settings.Address);

    public void Dispose()
    {
        foreach (ListeningSocket socket in _sockets.Values)
        {
            socket.Dispose();
        }

        _sockets.Clear();
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
        sockets.ForEach(socket => socket.Dispose());
        sockets.Clear();
    }
}
