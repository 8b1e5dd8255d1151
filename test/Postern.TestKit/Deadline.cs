using System.Diagnostics;

namespace Postern.TestKit;

/// <summary>Waiting with an end: every wait in a test goes through here, none is a bare sleep.</summary>
public static class Deadline
{
    /// <summary>How long a single expected event may take. Generous: a loaded machine must not fail a test.</summary>
    public static readonly TimeSpan Step = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan _pollInterval = TimeSpan.FromMilliseconds(5);

    /// <summary>Asks <paramref name="condition"/> again and again until it holds.</summary>
    /// <exception cref="TimeoutException">It did not hold in time; the message is <paramref name="what"/>.</exception>
    public static async Task UntilAsync(Func<bool> condition, Func<string> what, TimeSpan? limit = null)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > (limit ?? Step))
            {
                throw new TimeoutException(what());
            }

            await Task.Delay(_pollInterval);
        }
    }

    /// <summary>Runs an operation that takes a token, and turns its cancellation at the deadline into a sentence.</summary>
    public static async Task<T> WithinAsync<T>(Func<CancellationToken, Task<T>> operation, string what, TimeSpan? limit = null)
    {
        TimeSpan allowed = limit ?? Step;
        using var source = new CancellationTokenSource(allowed);
        try
        {
            return await operation(source.Token);
        }
        catch (OperationCanceledException) when (source.IsCancellationRequested)
        {
            throw new TimeoutException($"Waited {allowed.TotalSeconds:0.#} s in vain: {what}");
        }
    }
}
