using Postern.Net;

namespace Postern.Auth;

/// <summary>
/// The idle keep-alive connections of one loop to one auth server. Each watches for the server closing it; whatever else
/// arrives unasked ends it too. As a timer it closes those that nobody has used for a while.
/// </summary>
internal sealed class AuthHttpConnections : LoopTimer
{
    /// <summary>Idle connections kept; protects the auth server and <c>worker_connections</c> from a burst's leftovers.</summary>
    private const int MaxIdle = 32;

    /// <summary>
    /// How long one is kept: behind a firewall that forgets, or after a reload to another server, it would never be used
    /// again and hold its place for ever.
    /// </summary>
    private static readonly TimeSpan _idleLimit = TimeSpan.FromSeconds(60);

    private readonly EventLoop _loop;

    /// <summary>The one used last is at the end.</summary>
    private readonly List<Idle> _idle = [];

    private bool _listening;

    public AuthHttpConnections(EventLoop loop)
    {
        _loop = loop;
    }

    /// <summary>An idle connection that was alive when last looked at, or null.</summary>
    public Connection? TryTake()
    {
        while (_idle.Count > 0)
        {
            Connection connection = _idle[^1].Connection;
            _idle.RemoveAt(_idle.Count - 1);
            ListenIfNeeded();
            if (!connection.IsClosed && connection.EndIdle())
            {
                return connection;
            }

            connection.Close();
        }

        return null;
    }

    /// <summary>Keeps the connection for the next request, or closes it.</summary>
    public void Give(Connection connection)
    {
        if (_loop.IsDraining || _idle.Count >= MaxIdle)
        {
            connection.Close();
            return;
        }

        connection.BeginIdle();
        _idle.Add(new Idle(connection, _loop.Now));
        ListenIfNeeded();
        if (!IsArmed)
        {
            _loop.Timers.Arm(this, _loop.Now, (long)_idleLimit.TotalMilliseconds);
        }
    }

    protected override void OnExpired()
    {
        long oldest = _loop.Now - (long)_idleLimit.TotalMilliseconds;
        int old = 0;
        while (old < _idle.Count && (_idle[old].Since <= oldest || _idle[old].Connection.IsClosed))
        {
            _idle[old++].Connection.Close();
        }

        _idle.RemoveRange(0, old);
        ListenIfNeeded();
        if (_idle.Count > 0)
        {
            _loop.Timers.Arm(this, _loop.Now, _idle[0].Since - oldest);
        }
    }

    private void CloseAll()
    {
        _idle.ForEach(idle => idle.Connection.Close());
        _idle.Clear();
        ListenIfNeeded();
        _loop.Timers.Cancel(this);
    }

    /// <summary>
    /// Hears of the loop's wishes only while there is something to give up: the loop lives on after the configuration this
    /// belongs to, and must not hold it.
    /// </summary>
    private void ListenIfNeeded()
    {
        if (_idle.Count > 0 == _listening)
        {
            return;
        }

        _listening = !_listening;
        if (_listening)
        {
            _loop.DrainingStarted += CloseAll;
            _loop.PlacesWanted += CloseAll;
        }
        else
        {
            _loop.DrainingStarted -= CloseAll;
            _loop.PlacesWanted -= CloseAll;
        }
    }

    private readonly record struct Idle(Connection Connection, long Since);
}
