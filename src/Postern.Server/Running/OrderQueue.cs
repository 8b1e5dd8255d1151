using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Server.Running;

/// <summary>
/// What the main thread waits for: orders other threads put in, signals, and messages of other processes. One poll(2), no
/// thread of its own.
/// </summary>
internal sealed unsafe class OrderQueue : IDisposable
{
    private readonly ConcurrentQueue<Action> _orders = new();
    private readonly int _wakeUp;
    private Action? _beforeWaiting;

    public OrderQueue()
    {
        _wakeUp = Libc.eventfd(0, Libc.EFD_NONBLOCK | Libc.EFD_CLOEXEC);
        if (_wakeUp < 0)
        {
            throw Net.SystemCallException.FromErrno("eventfd()", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Has the main thread do this. May be called from any thread.</summary>
    public void Add(Action order)
    {
        _orders.Enqueue(order);
        ulong one = 1;

        // EAGAIN means that the counter is at its maximum: a wake-up is pending anyway.
        _ = Libc.write(_wakeUp, (byte*)&one, sizeof(ulong));
    }

    /// <summary>Has the main thread do this once, right before it next waits for something to do. On the main thread.</summary>
    public void BeforeWaiting(Action action) => _beforeWaiting = action;

    /// <summary>How long to wait for a point in time.</summary>
    /// <param name="time">Milliseconds of <see cref="Environment.TickCount64"/>; negative = there is none.</param>
    /// <returns>Milliseconds, or -1.</returns>
    public static int TimeoutUntil(long time) => time < 0 ? -1 : (int)Math.Clamp(time - Environment.TickCount64, 0, int.MaxValue);

    /// <summary>Waits for something to do and carries out what orders there are. On the main thread.</summary>
    /// <param name="others">Further descriptors to wait for; negative ones are passed over.</param>
    /// <param name="timeoutMilliseconds">The longest wait; -1 = for ever.</param>
    public void WaitAndRun(ReadOnlySpan<int> others, int timeoutMilliseconds = -1)
    {
        PollDescriptor* descriptors = stackalloc PollDescriptor[others.Length + 1];
        descriptors[0] = new PollDescriptor { Descriptor = _wakeUp, Events = Libc.POLLIN };
        for (int i = 0; i < others.Length; i++)
        {
            descriptors[i + 1] = new PollDescriptor { Descriptor = others[i], Events = Libc.POLLIN };
        }

        if (_orders.IsEmpty)
        {
            _beforeWaiting?.Invoke();
            _beforeWaiting = null;

            // EINTR and failures for lack of memory: the caller looks at everything and comes again.
            _ = Libc.poll(descriptors, (nuint)(others.Length + 1), timeoutMilliseconds);
        }

        ulong count;
        _ = Libc.read(_wakeUp, (byte*)&count, sizeof(ulong));
        while (_orders.TryDequeue(out Action? order))
        {
            order();
        }
    }

    public void Dispose() => _ = Libc.close(_wakeUp);
}
