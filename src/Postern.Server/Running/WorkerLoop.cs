using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;

namespace Postern.Server.Running;

/// <summary>One of <c>worker_processes</c>: an event loop on its own thread, and its share of the listening sockets.</summary>
internal sealed class WorkerLoop
{
    private readonly Dictionary<ListeningSocket, Listener> _listeners = [];
    private readonly int _index;
    private readonly Action<WorkerLoop> _ended;
    private readonly Action<Exception> _fault;

    /// <param name="index">Number of the loop, from 0: which descriptor of each socket is its own.</param>
    /// <param name="workerConnections"><c>worker_connections</c>.</param>
    /// <param name="ended">Called on the loop's thread when it has ended.</param>
    /// <param name="fault">Called on the loop's thread when it dies of an exception.</param>
    /// <param name="faultOnLoop">Called on the loop's thread when an exception ended a connection.</param>
    public WorkerLoop(
        int index, int workerConnections, Action<WorkerLoop> ended, Action<Exception> fault, Action<Exception> faultOnLoop)
    {
        _index = index;
        _ended = ended;
        _fault = fault;
        Loop = new EventLoop(LinuxSystemCalls.Instance, workerConnections);
        Loop.DrainingStarted += StopListening;
        Loop.FaultObserver = faultOnLoop;
    }

    public EventLoop Loop { get; }

    public void Start() => new Thread(Run) { IsBackground = true, Name = $"loop {_index}" }.Start();

    /// <summary>Accepts from the socket; the one it listens to already goes on with the new plan.</summary>
    public void Listen(ListeningSocket socket, ListenPlan plan, ErrorLog log) => Loop.Post(() =>
    {
        if (_listeners.TryGetValue(socket, out Listener? listener))
        {
            listener.Replace(plan, log);
        }
        else if (!Loop.IsDraining)
        {
            _listeners.Add(socket, Listener.Start(Loop, plan, socket.DescriptorFor(_index), log));
        }
    });

    /// <summary>Stops accepting from the socket.</summary>
    /// <param name="socket">One of those passed to <see cref="Listen"/>.</param>
    /// <param name="done">Called on the loop once the descriptor is no longer used.</param>
    public void StopListening(ListeningSocket socket, Action done) => Loop.Post(() =>
    {
        if (_listeners.Remove(socket, out Listener? listener))
        {
            listener.Stop();
        }

        done();
    });

    private void StopListening()
    {
        foreach (Listener listener in _listeners.Values)
        {
            listener.Stop();
        }

        _listeners.Clear();
    }

    private void Run()
    {
        try
        {
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
