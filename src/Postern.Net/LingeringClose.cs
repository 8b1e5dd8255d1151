namespace Postern.Net;

/// <summary>
/// The end of a connection that we close: what is unsent goes out, what still comes is thrown away, and the socket is
/// closed when the other side has closed, or 3 seconds after our last byte went out.
/// </summary>
internal sealed unsafe class LingeringClose(Connection connection, long stallMilliseconds) : LoopTimer, IConnectionHandler
{
    /// <summary>As long as nginx waits for the client's close_notify.</summary>
    private const long LimitMilliseconds = 3000;

    private int _unsentBefore;
    private bool _ended;

    public void Begin()
    {
        _unsentBefore = connection.UnsentBytes;
        Arm();
        connection.SetHandler(this);
        OnReady(connection);
    }

    public void OnReady(Connection from)
    {
        if (from.SendErrno != 0 || Discard())
        {
            End();
            return;
        }

        if (from.UnsentBytes != _unsentBefore)
        {
            _unsentBefore = from.UnsentBytes;
            Arm();
        }
    }

    public void OnShutdownTimeout(Connection from) => End();

    protected internal override void OnExpired() => End();

    private void Arm() => connection.Loop.Timers.Arm(
        this, connection.Loop.Now, connection.HasUnsent ? stallMilliseconds : LimitMilliseconds);

    /// <summary>Reads and drops what came.</summary>
    /// <returns>Whether nothing is left to wait for.</returns>
    private bool Discard()
    {
        // One that keeps sending is not listened to for long: what it sends after our goodbye is of no use.
        const int MaxReads = 4;
        for (int i = 0; i < MaxReads; i++)
        {
            int n = connection.Receive(connection.Loop.Buffers.In, LoopBuffers.InBytes);
            if (n == Connection.WouldBlock)
            {
                return false;
            }

            if (n <= 0)
            {
                return n < 0 || !connection.HasUnsent;
            }
        }

        return !connection.HasUnsent;
    }

    private void End()
    {
        if (!_ended)
        {
            _ended = true;
            connection.Loop.Timers.Cancel(this);
            connection.Close();
        }
    }
}
