namespace Postern.Server.Running;

/// <summary>
/// Finds the moment when a rush of logins is over. What a login needed is garbage once its session is joined, but a collection in the
/// midst of it makes it old, and the old are not looked at again as long as little else is allocated: idle sessions would seem to weigh
/// half as much again. Nothing is measured while no collection happens, so that a process without clients sleeps.
/// </summary>
internal sealed class QuietMoment
{
    /// <summary>How long little must have been allocated, in milliseconds.</summary>
    public const int Interval = 100;

    /// <summary>What is little, in bytes: the last replies of a rush, not a login every few milliseconds.</summary>
    private const long LittleBytes = 64 * 1024;

    /// <summary>A collection is not worth its pause for less than this, in bytes allocated since the last one: some hundred logins.</summary>
    private const long WorthBytes = 512 * 1024;

    private long _allocated;
    private long _collectedAt;

    /// <summary>When to ask next, in milliseconds of <see cref="Environment.TickCount64"/>; -1 = not before the next collection.</summary>
    public long Next { get; private set; } = -1;

    /// <summary>The collector has run, for want of memory: there are logins, or were.</summary>
    public void OnCollection(long now, long allocatedBytes)
    {
        if (Next < 0)
        {
            _allocated = allocatedBytes;
            Next = now + Interval;
        }
    }

    /// <summary>What is to be tidied up now.</summary>
    /// <param name="now">Milliseconds.</param>
    /// <param name="allocatedBytes">All bytes allocated since the process started.</param>
    public Tidying Ask(long now, long allocatedBytes)
    {
        if (Next < 0 || now < Next)
        {
            return Tidying.Nothing;
        }

        if (allocatedBytes - _allocated > LittleBytes)
        {
            _allocated = allocatedBytes;
            Next = now + Interval;
            return Tidying.Nothing;
        }

        Next = -1;
        if (allocatedBytes - _collectedAt < WorthBytes)
        {
            return Tidying.Pages;
        }

        _collectedAt = allocatedBytes;
        return Tidying.Garbage;
    }
}

/// <summary>What a quiet moment is good for.</summary>
internal enum Tidying
{
    /// <summary>It is not quiet, or nothing has happened since it was.</summary>
    Nothing,

    /// <summary>Everything should be collected. The collector tells that it has run, so that another moment follows, for the pages.</summary>
    Garbage,

    /// <summary>Nothing is left to collect: what pages of code and constants the rush needed, and its collection, is not needed any more.</summary>
    Pages,
}
