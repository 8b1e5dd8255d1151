using System.Runtime.CompilerServices;

namespace Postern.Server.Running;

/// <summary>
/// Does something in both threads a process has before it made any itself: the main one, and the runtime's finalizer thread,
/// which exists before the first line of ours. For what the kernel keeps per thread and new threads inherit.
/// </summary>
internal static class EveryThread
{
    /// <summary>Runs the action here and on the finalizer thread, one after the other. It must not throw.</summary>
    public static void Run(Action action)
    {
        action();
        Drop(action);
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    /// <summary>Not inlined: no register of the caller may keep the object.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Drop(Action action) => _ = new Errand(action);

    private sealed class Errand(Action action)
    {
        ~Errand() => action();
    }
}
