namespace Postern.Net.Listening;

/// <summary>Takes the clients of one <c>server { }</c>.</summary>
public interface IClientHandler
{
    /// <summary>Called on the loop that accepted the client; the connection is the handler's from now on.</summary>
    void OnClient(Connection client, EndpointAddress peer, ListenSettings listen);

    /// <summary>Called on the loop when a client was closed unheard because the loop has no place left.</summary>
    void OnNoPlace(int workerConnections);
}

/// <summary>One <c>listen</c> and the server it belongs to.</summary>
public sealed record ListenEntry(ListenSettings Settings, IClientHandler Handler);

/// <summary>
/// One listening socket: the address it is bound to, and for a wildcard the specific addresses that share it
/// (mail-proxy 2.4).
/// </summary>
public sealed class ListenPlan
{
    private readonly List<ListenEntry> _specific = [];

    private ListenPlan(ListenEntry socket)
    {
        Socket = socket;
    }

    /// <summary>What the socket is bound to; its server takes clients that no specific address claims.</summary>
    public ListenEntry Socket { get; }

    /// <summary>Whether the local address of a client decides between servers.</summary>
    public bool HasSpecific => _specific.Count > 0;

    /// <summary>Groups all <c>listen</c> directives into the sockets they need.</summary>
    public static IReadOnlyList<ListenPlan> Build(IEnumerable<ListenEntry> entries)
    {
        List<ListenPlan> plans = [];
        var groups = entries.GroupBy(entry => (entry.Settings.Address.Family, entry.Settings.Address.Port));
        foreach (var group in groups)
        {
            ListenEntry? wildcard = group.FirstOrDefault(entry => entry.Settings.Address.IsWildcard);
            if (wildcard is null)
            {
                plans.AddRange(group.Select(entry => new ListenPlan(entry)));
                continue;
            }

            var shared = new ListenPlan(wildcard);
            plans.Add(shared);
            foreach (ListenEntry entry in group.Where(entry => entry != wildcard))
            {
                if (entry.Settings.OwnSocket)
                {
                    plans.Add(new ListenPlan(entry));
                }
                else
                {
                    shared._specific.Add(entry);
                }
            }
        }

        return plans;
    }

    /// <summary>The entry for a client that connected to this local address.</summary>
    public ListenEntry Choose(EndpointAddress local)
    {
        foreach (ListenEntry entry in _specific)
        {
            if (entry.Settings.Address.AddressBytes.SequenceEqual(local.AddressBytes))
            {
                return entry;
            }
        }

        return Socket;
    }
}
