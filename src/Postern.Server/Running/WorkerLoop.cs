using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;

namespace Postern.Server.Running;

/// <summary>One of <c>worker_processes</c>: an event loop on its own thread, and its share of the listening sockets.</summary>
internal sealed class WorkerLoop
{
    private readonly Dictionary<ListeningSocket, List<Listener>> _listeners = [];
    private readonly int _loops;
    private readonly CpuAffinity? _affinity;
    private readonly Action<WorkerLoop> _ended;
    private readonly Action<Exception> _fault;

    /// <param name="index">Number of the loop, from 0: which descriptor of each socket is its own.</param>
    /// <param name="settings"><c>worker_connections</c>, number of loops, processors.</param>
    /// <param name="ended">Called on the loop's thread when it has ended.</param>
    /// <param name="fault">Called on the loop's thread when it dies of an exception.</param>
    /// <param name="faultOnLoop">Called on the loop's thread when an exception ended a connection.</param>
    public WorkerLoop(
        int index, MainSettings settings, Action<WorkerLoop> ended, Action<Exception> fault, Action<Exception> faultOnLoop)
    {
        Index = index;
        _loops = Service.Loops(settings);
        _affinity = settings.CpuAffinity;
        _ended = ended;
        _fault = fault;
        Loop = new EventLoop(LinuxSystemCalls.Instance, settings.WorkerConnections);
        Loop.DrainingStarted += StopListening;
        Loop.FaultObserver = faultOnLoop;
    }

    /// <summary>Number of the loop, from 0.</summary>
    public int Index { get; }

    public EventLoop Loop { get; }

    /// <summary>Set on the main thread once it no longer runs.</summary>
    public bool HasEnded { get; set; }

    public void Start() => new Thread(Run) { IsBackground = true, Name = $"loop {Index}" }.Start();

    /// <summary>Accepts from the socket; the one it listens to already goes on with the new plan.</summary>
    public void Listen(ListeningSocket socket, ListenPlan plan, ErrorLog log) => Loop.Post(() =>
    {
        if (_listeners.TryGetValue(socket, out List<Listener>? listeners))
        {
            listeners.ForEach(listener => listener.Replace(plan, log));
        }
        else if (!Loop.IsDraining)
        {
            _listeners.Add(socket, [.. socket.DescriptorsFor(Index, _loops).Select(descriptor => Listener.Start(Loop, plan, descriptor, log))]);
        }
    });

    /// <summary>Stops accepting from the socket.</summary>
    /// <param name="socket">One of those passed to <see cref="Listen"/>.</param>
    /// <param name="done">Called on the loop once the descriptor is no longer used.</param>
    public void StopListening(ListeningSocket socket, Action done) => Loop.Post(() =>
    {
        if (_listeners.Remove(socket, out List<Listener>? listeners))
        {
            listeners.ForEach(listener => listener.Stop());
        }

        done();
    });

    private void StopListening()
    {
        foreach (Listener listener in _listeners.Values.SelectMany(listeners => listeners))
        {
            listener.Stop();
        }

        _listeners.Clear();
    }

    private void Run()
    {
        try
        {
            _affinity?.Apply(Index);
            Loop.Run();
        }
#pragma warning disable CA1031 // Reported and fatal: the process must not go on with a dead loop.
        catch (Exception e)
#pragma warning restore CA1031
        {
            _fault(e);
        }

        _ended(this);
    }
}
