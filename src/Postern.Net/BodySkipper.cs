namespace Postern.Net;

/// <summary>Reads and drops a known number of bytes, then hands the connection back for reuse.</summary>
public sealed unsafe class BodySkipper : LoopTimer, IConnectionHandler
{
    /// <summary>More is not worth reading: the connection is closed instead.</summary>
    public const long MaxBytes = 64 * 1024;

    private const long LimitMilliseconds = 5000;

    private readonly Connection _connection;
    private readonly Action<Connection> _done;
    private long _left;

    private BodySkipper(Connection connection, long left, Action<Connection> done)
    {
        _connection = connection;
        _left = left;
        _done = done;
    }

    /// <param name="connection">Owned by the skipper until <paramref name="done"/>.</param>
    /// <param name="left">Bytes to drop.</param>
    /// <param name="done">Gets the connection; not called if it ended or stalled (it is closed then).</param>
    public static void Start(Connection connection, long left, Action<Connection> done)
    {
        var skipper = new BodySkipper(connection, left, done);
        connection.Loop.Timers.Arm(skipper, connection.Loop.Now, LimitMilliseconds);
        connection.SetHandler(skipper);
        ((IConnectionHandler)skipper).OnReady(connection);
    }

    void IConnectionHandler.OnReady(Connection connection)
    {
        while (_left > 0)
        {
            // Not just what is left: only a read that gets less than it asked for proves that nothing is behind it.
            int n = connection.Receive(connection.Loop.Buffers.In, LoopBuffers.InBytes);
            if (n == Connection.WouldBlock)
            {
                return;
            }

            _left -= n;
            if (n <= 0 || _left < 0)
            {
                End();
                return;
            }
        }

        connection.Loop.Timers.Cancel(this);
        connection.SetHandler(null);
        _done(connection);
    }

    void IConnectionHandler.OnShutdownTimeout(Connection connection) => End();

    protected internal override void OnExpired() => End();

    private void End()
    {
        _connection.Loop.Timers.Cancel(this);
        _connection.Close();
    }
}
