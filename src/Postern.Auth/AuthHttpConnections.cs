using Postern.Net;

namespace Postern.Auth;

/// <summary>
/// The idle keep-alive connections of one loop to one auth server. Each watches for the server closing it; whatever else
/// arrives unasked ends it too.
/// </summary>
internal sealed class AuthHttpConnections
{
    /// <summary>Idle connections kept; protects the auth server and <c>worker_connections</c> from a burst's leftovers.</summary>
    private const int MaxIdle = 32;

    private readonly EventLoop _loop;
    private readonly Stack<Connection> _idle = new();

    public AuthHttpConnections(EventLoop loop)
    {
        _loop = loop;
        loop.DrainingStarted += CloseAll;
        loop.PlacesWanted += CloseAll;
    }

    /// <summary>An idle connection that was alive when last looked at, or null.</summary>
    public Connection? TryTake()
    {
        while (_idle.TryPop(out Connection? connection))
        {
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
        _idle.Push(connection);
    }

    private void CloseAll()
    {
        while (_idle.TryPop(out Connection? connection))
        {
            connection.Close();
        }
    }
}
