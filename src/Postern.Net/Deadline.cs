using System.Runtime.CompilerServices;

namespace Postern.Net;

/// <summary>The deadline of the current step of a dialogue: ends what is awaited on one connection.</summary>
public sealed class Deadline(EventLoop loop) : LoopTimer
{
    private Connection? _connection;

    /// <summary>From now on the connection is aborted after this time, unless the deadline is set anew or cleared.</summary>
    public void Set(Connection connection, TimeSpan limit)
    {
        _connection = connection;
        loop.Timers.Arm(this, loop.Now, (long)limit.TotalMilliseconds);
    }

    /// <summary>From now on it is this connection that the running deadline ends.</summary>
    public void MoveTo(Connection connection) => _connection = connection;

    public void Clear()
    {
        _connection = null;
        loop.Timers.Cancel(this);
    }

    protected internal override void OnExpired() => _connection?.Abort(ConnectionEnd.TimedOut);
}

/// <summary>
/// Awaits the passing of time on behalf of one connection (<c>Auth-Wait</c>, <c>smtp_greeting_delay</c>): an abort ends it, so
/// that a long wait does not outlast <c>worker_shutdown_timeout</c>, and input if that is asked for.
/// </summary>
public sealed class LoopDelay : LoopTimer, ICriticalNotifyCompletion
{
    private readonly Connection _connection;
    private readonly bool _endsWithInput;

    internal LoopDelay(Connection connection, TimeSpan time, bool endsWithInput)
    {
        _connection = connection;
        _endsWithInput = endsWithInput;
        connection.Loop.Timers.Arm(this, connection.Loop.Now, (long)time.TotalMilliseconds);
    }

    /// <summary>Even a delay of nothing takes until the next tick.</summary>
    public bool IsCompleted => _endsWithInput && _connection.MayRead;

    public LoopDelay GetAwaiter() => this;

    public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

    public void UnsafeOnCompleted(Action continuation) => _connection.WaitForTime(continuation, _endsWithInput);

    /// <exception cref="ConnectionEndedException">The connection was aborted.</exception>
    public void GetResult()
    {
        _connection.Loop.Timers.Cancel(this);
        _connection.ThrowIfOver();
    }

    protected internal override void OnExpired() => _connection.EndWaitForTime();
}
