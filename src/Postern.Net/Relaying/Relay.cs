namespace Postern.Net.Relaying;

/// <summary>How a relay ended.</summary>
public enum RelayOutcome
{
    /// <summary>One side closed; everything it had sent was delivered.</summary>
    Done,

    /// <summary>A write failed, or TLS broke.</summary>
    Failed,

    /// <summary><c>proxy_timeout</c>: no traffic in either direction.</summary>
    TimedOut,

    /// <summary><c>worker_shutdown_timeout</c> passed.</summary>
    ShutdownTimeout,
}

/// <summary>What a relay needs to say when it is over, without holding the session alive.</summary>
public interface IRelayOwner
{
    /// <summary>Called once on the loop, after both connections were told to close.</summary>
    void OnRelayEnded(Relay relay, RelayOutcome outcome);
}

/// <summary>
/// The copying phase: two connections, no buffers held, nothing allocated per operation. One object is both the
/// handler of the two connections and their idle timer.
/// </summary>
/// <remarks>
/// Bytes are copied unmodified. A side whose receiver is full is not read until the receiver has drained. When one side
/// ends, what it sent is delivered, the end is passed on, and the other side may finish what it was saying for up to
/// <see cref="FinishMilliseconds"/> of silence; then both are closed.
/// </remarks>
public sealed unsafe class Relay : LoopTimer, IConnectionHandler, IDeferred
{
    /// <summary>Reads per direction and turn; then other connections of the loop have their turn.</summary>
    private const int ReadsPerTurn = 8;

    /// <summary>How long the other side may go on after one has ended, from its last byte.</summary>
    private const long FinishMilliseconds = 2000;

    private readonly Connection _client;
    private readonly Connection _upstream;
    private readonly IRelayOwner _owner;
    private readonly long _idleMilliseconds;
    private long _lastTraffic;
    private bool _clientEnded;
    private bool _upstreamEnded;
    private bool _endPassedOn;
    private bool _deferred;
    private bool _over;

    private Relay(Connection client, Connection upstream, long idleMilliseconds, IRelayOwner owner)
    {
        _client = client;
        _upstream = upstream;
        _idleMilliseconds = idleMilliseconds;
        _owner = owner;
    }

    /// <summary>Joins the two; everything that either side has already sent is passed on at once.</summary>
    /// <param name="client">The connection to the client.</param>
    /// <param name="upstream">The connection to the backend.</param>
    /// <param name="idleTimeout"><c>proxy_timeout</c>.</param>
    /// <param name="owner">Hears of the end.</param>
    public static void Start(Connection client, Connection upstream, TimeSpan idleTimeout, IRelayOwner owner)
    {
        var relay = new Relay(client, upstream, (long)idleTimeout.TotalMilliseconds, owner);
        EventLoop loop = client.Loop;
        relay._lastTraffic = loop.Now;
        loop.Timers.Arm(relay, loop.Now, relay._idleMilliseconds);
        client.EndOfSecrets();
        upstream.EndOfSecrets();
        client.SetHandler(relay);
        upstream.SetHandler(relay);
        relay.Pump();
    }

    void IConnectionHandler.OnReady(Connection connection)
    {
        _lastTraffic = connection.Loop.Now;
        Pump();
    }

    void IConnectionHandler.OnShutdownTimeout(Connection connection) => End(RelayOutcome.ShutdownTimeout);

    void IConnectionHandler.OnFault(Connection connection) => End(RelayOutcome.Failed);

    void IDeferred.RunDeferred()
    {
        _deferred = false;
        if (!_over)
        {
            Pump();
        }
    }

    protected internal override void OnExpired()
    {
        // Traffic only notes the time; the timer is moved when it fires.
        EventLoop loop = _client.Loop;
        long left = _lastTraffic + Limit - loop.Now;
        if (left > 0)
        {
            loop.Timers.Arm(this, loop.Now, left);
        }
        else
        {
            // A side that takes nothing any more has not been delivered to, even if the other one has ended.
            End(_endPassedOn ? RelayOutcome.Done : RelayOutcome.TimedOut);
        }
    }

    private long Limit => _endPassedOn ? FinishMilliseconds : _idleMilliseconds;

    private void Pump()
    {
        bool more = false;
        if (!Copy(_client, _upstream, ref _clientEnded, ref more) || !Copy(_upstream, _client, ref _upstreamEnded, ref more))
        {
            // A side that has closed for good cannot be written to: with its data delivered that is the normal end.
            End(_clientEnded || _upstreamEnded ? RelayOutcome.Done : RelayOutcome.Failed);
            return;
        }

        if (_clientEnded || _upstreamEnded)
        {
            Finish();
        }

        if (more && !_over && !_deferred)
        {
            _deferred = true;
            _client.Loop.Defer(this);
        }
    }

    /// <summary>Copies what one side has for the other until there is no more, the receiver is full, or the turn's share is used.</summary>
    /// <returns>False if the relay cannot go on.</returns>
    private static bool Copy(Connection from, Connection to, ref bool ended, ref bool more)
    {
        for (int reads = 0; !ended && !to.HasUnsent && from.MayRead; reads++)
        {
            if (reads == ReadsPerTurn)
            {
                more = true;
                break;
            }

            int n = from.ReadForRelay();
            if (n == Connection.WouldBlock)
            {
                break;
            }

            if (n <= 0)
            {
                // A read error counts as the end of what the side had to say (mail-proxy 5.7).
                ended = true;
                break;
            }

            Pass(to, n);
            if (to.SendErrno != 0)
            {
                return false;
            }
        }

        return to.SendErrno == 0;
    }

    private static void Pass(Connection to, int length)
    {
        LoopBuffers buffers = to.Loop.Buffers;
        to.WriteFromRelay(buffers.Plain, length);
    }

    private void Finish()
    {
        EventLoop loop = _client.Loop;
        if (_upstreamEnded)
        {
            // The backend has said its last word: once the client has it, the session is over.
            if (!_client.HasUnsent)
            {
                End(RelayOutcome.Done);
            }

            return;
        }

        if (_upstream.HasUnsent || _endPassedOn)
        {
            return;
        }

        _endPassedOn = true;
        loop.ClaimOut(_upstream);
        loop.FlushOwner();
        if (_upstream.ShutdownSend() < 0)
        {
            End(RelayOutcome.Done);
            return;
        }

        _lastTraffic = loop.Now;
        loop.Timers.Arm(this, loop.Now, FinishMilliseconds);
    }

    private void End(RelayOutcome outcome)
    {
        if (_over)
        {
            return;
        }

        _over = true;
        _client.Loop.Timers.Cancel(this);
        _client.SetHandler(null);
        _upstream.SetHandler(null);
        if (outcome == RelayOutcome.Done)
        {
            _client.CloseGracefully(_idleMilliseconds);
            _upstream.CloseGracefully(_idleMilliseconds);
        }
        else
        {
            _client.Close();
            _upstream.Close();
        }

        _owner.OnRelayEnded(this, outcome);
    }
}
