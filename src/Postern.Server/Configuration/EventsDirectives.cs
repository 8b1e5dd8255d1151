using Postern.Config;
using Postern.Net;

namespace Postern.Server.Configuration;

/// <summary>The block <c>events</c> and its directives (mail-proxy reference 1.6).</summary>
internal static class EventsDirectives
{
    /// <summary>In the main scope: the block, or null.</summary>
    public static readonly Slot<ConfigScope?> Block = new(null);

    public static readonly Slot<int> WorkerConnections = new(512);
    public static readonly Slot<bool> MultiAccept = new(false);

    /// <summary>Clients whose sessions are logged at every level.</summary>
    public static readonly Slot<IReadOnlyList<AddressRange>> DebugConnections = new([]);

    private static readonly Slot<string?> _use = new(null);

    // Contention between nginx's processes; the loops here have listening sockets of their own.
    private static readonly Slot<bool> _acceptMutex = new(false);
    private static readonly Slot<TimeSpan> _acceptMutexDelay = new(TimeSpan.FromMilliseconds(500));
    private static readonly Slot<int> _aioRequests = new(32);

    /// <summary>A loop takes what epoll_wait(2) has for it; how much at once is fixed.</summary>
    private static readonly Slot<int> _epollEvents = new(512);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Block("events", ConfigContexts.Main, ReadBlock),
        Directive.Once("worker_connections", ConfigContexts.Events, WorkerConnections, ReadConnections),
        Directive.Once("use", ConfigContexts.Events, _use, ReadMethod),
        Directive.Flag("multi_accept", ConfigContexts.Events, MultiAccept),
        Directive.Flag("accept_mutex", ConfigContexts.Events, _acceptMutex),
        Directive.Milliseconds("accept_mutex_delay", ConfigContexts.Events, _acceptMutexDelay),
        Directive.Number("worker_aio_requests", ConfigContexts.Events, _aioRequests),
        Directive.Number("epoll_events", ConfigContexts.Events, _epollEvents),
        Directive.Custom("debug_connection", ConfigContexts.Events, 1, 1, ReadDebugConnection),
    ];

    private static void ReadBlock(DirectiveCall call)
    {
        if (call.Scope.Sets(Block))
        {
            call.Error("\"events\" directive is duplicate");
            call.SkipBlock();
            return;
        }

        ConfigScope events = new(parent: null, call.Position);
        call.Scope.Set(Block, events);
        call.ReadBlock(ConfigContexts.Events, events);
    }

    private static void ReadConnections(DirectiveCall call)
    {
        if (ValueParsers.Number(call.Arguments[0]) is long number)
        {
            call.Scope.Set(WorkerConnections, (int)Math.Min(number, int.MaxValue));
        }
        else
        {
            call.Error($"invalid number \"{call.Arguments[0]}\"");
        }
    }

    private static void ReadMethod(DirectiveCall call)
    {
        if (call.Arguments[0] == "epoll")
        {
            call.Scope.Set(_use, call.Arguments[0]);
        }
        else
        {
            call.Error($"invalid event type \"{call.Arguments[0]}\"");
        }
    }

    private static void ReadDebugConnection(DirectiveCall call)
    {
        string text = call.Arguments[0];
        IReadOnlyList<AddressRange> ranges = AddressRange.Parse(text, call.Environment.ResolveHost, out bool hostBits);
        if (ranges.Count == 0)
        {
            call.Error($"host not found in debug_connection \"{text}\"");
            return;
        }

        if (hostBits)
        {
            call.Warn($"low address bits of {text} are meaningless");
        }

        foreach (AddressRange range in ranges)
        {
            call.Scope.Append(DebugConnections, range);
        }
    }
}
