using Postern.Interop;

namespace Postern.Net;

/// <summary>Something with a descriptor that a loop watches. Belongs to one loop for its whole life.</summary>
public abstract class EventSource
{
    /// <summary>Index in the loop's table; -1 = not registered.</summary>
    internal int TableIndex = -1;

    /// <summary>The descriptor, or -1 once closed.</summary>
    protected internal int Descriptor { get; protected set; } = -1;

    /// <summary>Called on the loop with the bits of epoll_wait(2): <see cref="Libc.EPOLLIN"/> and so on.</summary>
    protected internal abstract void OnEvents(uint events);

    /// <summary>Called when <see cref="OnEvents"/> threw: give up what the source stands for.</summary>
    protected internal virtual void OnFault()
    {
    }

    /// <summary>
    /// Called once when the time for a graceful stop is over (<c>worker_shutdown_timeout</c>): end now, log why.
    /// </summary>
    protected internal virtual void OnShutdownTimeout()
    {
    }
}
