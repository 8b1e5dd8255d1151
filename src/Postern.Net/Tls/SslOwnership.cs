using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Postern.Net.Tls;

/// <summary>
/// The rules of an SSL object, checked where <c>Postern.CheckTlsOwnership</c> is on, as it is in the tests: only the thread of its loop touches
/// it, and nobody once it is freed. In the published program the switch is off for good, and the checks are not compiled in.
/// </summary>
internal static class SslOwnership
{
    private static readonly ConcurrentDictionary<nint, int> _threads = new();

    /// <summary>SSL objects that this thread has made and not freed yet; 0 without the switch.</summary>
    public static int Live => _threads.Values.Count(thread => thread == Environment.CurrentManagedThreadId);

    [FeatureSwitchDefinition("Postern.CheckTlsOwnership")]
    private static bool IsChecked { get; } = AppContext.TryGetSwitch("Postern.CheckTlsOwnership", out bool on) && on;

    public static void Created(nint ssl)
    {
        if (IsChecked && !_threads.TryAdd(ssl, Environment.CurrentManagedThreadId))
        {
            throw new InvalidOperationException("an SSL object that lives was made once more");
        }
    }

    /// <summary>Before each call that is given the object.</summary>
    public static void Touch(nint ssl)
    {
        if (IsChecked)
        {
            Check(ssl, _threads.TryGetValue(ssl, out int thread), thread);
        }
    }

    /// <summary>Before it is freed.</summary>
    public static void Freed(nint ssl)
    {
        if (IsChecked)
        {
            Check(ssl, _threads.TryRemove(ssl, out int thread), thread);
        }
    }

    private static void Check(nint ssl, bool lives, int thread)
    {
        if (!lives)
        {
            throw new InvalidOperationException($"SSL object {ssl:x} was freed, or never made");
        }

        if (thread != Environment.CurrentManagedThreadId)
        {
            throw new InvalidOperationException($"SSL object {ssl:x} of thread {thread} is touched by thread {Environment.CurrentManagedThreadId}");
        }
    }
}
