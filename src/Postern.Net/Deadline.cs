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

    public void Clear()
    {
        _connection = null;
        loop.Timers.Cancel(this);
    }

    protected internal override void OnExpired() => _connection?.Abort(ConnectionEnd.TimedOut);
}

/// <summary>Awaits the passing of time on a loop (<c>Auth-Wait</c>).</summary>
public sealed class LoopDelay : LoopTimer, ICriticalNotifyCompletion
{
    private Action? _continuation;

    private LoopDelay()
    {
    }

    public bool IsCompleted { get; private set; }

    public static LoopDelay Start(EventLoop loop, TimeSpan time)
    {
        var delay = new LoopDelay();
        loop.Timers.Arm(delay, loop.Now, (long)time.TotalMilliseconds);
        return delay;
    }

    public LoopDelay GetAwaiter() => this;

    public void OnCompleted(Action continuation) => _continuation = continuation;

    public void UnsafeOnCompleted(Action continuation) => _continuation = continuation;

    public void GetResult()
    {
    }

    protected internal override void OnExpired()
    {
        IsCompleted = true;
        _continuation?.Invoke();
    }
}
