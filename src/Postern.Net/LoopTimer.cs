namespace Postern.Net;

/// <summary>
/// One deadline on a loop's <see cref="TimerWheel"/>. The object is its own list node: arming allocates nothing.
/// Belongs to one loop; touch it on that loop only.
/// </summary>
public abstract class LoopTimer
{
    internal LoopTimer? Next;
    internal LoopTimer? Previous;

    /// <summary>Index of the wheel slot it hangs in; -1 = not armed.</summary>
    internal int Slot = -1;

    /// <summary>The loop's milliseconds at which it fires.</summary>
    internal long DueMilliseconds;

    public bool IsArmed => Slot >= 0;

    /// <summary>Called on the loop once the time has passed; the timer is no longer armed then and may be armed anew.</summary>
    protected internal abstract void OnExpired();
}
