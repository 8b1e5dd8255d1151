namespace Postern.Net.Tests.Scripted;

/// <summary>An event loop on a scripted kernel, driven turn by turn on the test's thread.</summary>
internal sealed class ScriptedLoop : IDisposable
{
    /// <summary>Turns without an end in sight: the code under test spins.</summary>
    private const int MaxTurns = 100_000;

    public ScriptedLoop(int maxConnections = int.MaxValue)
    {
        Loop = new EventLoop(Kernel, maxConnections);
    }

    public ScriptedSystemCalls Kernel { get; } = new();

    public EventLoop Loop { get; }

    /// <summary>A connection as a listener would hand it over.</summary>
    public (Connection Connection, ScriptedSocket Socket) Accept()
    {
        if (!Loop.TryReserve())
        {
            throw new InvalidOperationException("no place");
        }

        ScriptedSocket socket = Kernel.Open();
        return (Connection.FromAccepted(Loop, socket.Descriptor), socket);
    }

    /// <summary>Runs turns until the loop would sleep.</summary>
    public void Settle()
    {
        // Two quiet turns: what timers put off in the first runs in the second.
        int quiet = 0;
        for (int turn = 0; turn < MaxTurns && quiet < 2; turn++)
        {
            Loop.RunOnce();
            quiet = !Kernel.HasReady && Kernel.LastEvents == 0 && Kernel.LastTimeout != 0 ? quiet + 1 : 0;
        }

        if (quiet == 2)
        {
            return;
        }

        throw new InvalidOperationException("the loop does not come to rest");
    }

    /// <summary>Lets time pass as a sleeping kernel would: to the end of each sleep the loop asks for, then on.</summary>
    public void Pass(long milliseconds)
    {
        long end = Kernel.Milliseconds + milliseconds;
        Settle();
        while (Kernel.Milliseconds < end)
        {
            long left = end - Kernel.Milliseconds;
            Kernel.PassTime(Kernel.LastTimeout < 0 ? left : Math.Min(left, Math.Max(1, Kernel.LastTimeout)));
            Settle();
        }
    }

    public void Dispose() => Loop.Dispose();
}
