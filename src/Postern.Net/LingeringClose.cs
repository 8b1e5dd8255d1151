namespace Postern.Net;

/// <summary>
/// The end of a connection that we close: what is unsent goes out, what still comes is thrown away, and the socket is
/// closed when the other side has closed, or 3 seconds after our last byte went out.
/// </summary>
/// <param name="connection">Owned from now on.</param>
/// <param name="stallMilliseconds">How long the kernel may refuse to take unsent bytes.</param>
/// <param name="sendEnd">Whether the other side has to be told that we are done: there was no close_notify.</param>
internal sealed unsafe class LingeringClose(Connection connection, long stallMilliseconds, bool sendEnd) : LoopTimer, IConnectionHandler
{
    /// <summary>As long as nginx waits for the client's close_notify.</summary>
    private const long LimitMilliseconds = 3000;

    private int _unsentBefore;
    private bool _endSent = !sendEnd;
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
        if (from.SendErrno != 0 || Discard() || !TrySendEnd())
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
            int n = connection.ReadToDiscard();
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

    /// <summary>A client that waits for the end of the connection must not wait for the end of our patience.</summary>
    private bool TrySendEnd()
    {
        if (!_endSent && !connection.HasUnsent)
        {
            _endSent = true;
            return connection.ShutdownSend() >= 0;
        }

        return true;
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
