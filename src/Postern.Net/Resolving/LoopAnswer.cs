using System.Runtime.CompilerServices;

namespace Postern.Net.Resolving;

/// <summary>
/// Awaits, on behalf of one connection, a value that is made off its loop. Nothing that the connection does ends the wait, but an
/// abort does.
/// </summary>
/// <param name="connection">The connection; await on its loop.</param>
public sealed class LoopAnswer<T>(Connection connection) : ICriticalNotifyCompletion
{
    private T? _value;

    public bool IsCompleted { get; private set; }

    /// <summary>Gives the value. May be called from any thread, once.</summary>
    public void Set(T value) => connection.Loop.Post(() =>
    {
        _value = value;
        IsCompleted = true;
        connection.EndWaitForTime();
    });

    public LoopAnswer<T> GetAwaiter() => this;

    public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

    public void UnsafeOnCompleted(Action continuation) => connection.WaitForTime(continuation, endsWithInput: false);

    /// <exception cref="ConnectionEndedException">The connection was aborted.</exception>
    public T GetResult()
    {
        connection.ThrowIfOver();
        return _value!;
    }
}
