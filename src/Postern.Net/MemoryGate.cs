namespace Postern.Net;

/// <summary>How much memory there is to be had.</summary>
internal enum MemoryRoom
{
    Plenty,

    /// <summary>No new clients, no new handshakes; relays take small bites.</summary>
    Short,

    /// <summary>Who has not signed in is let go.</summary>
    Critical,
}

/// <summary>
/// Keeps a loop from using up the memory that joined sessions live on: the runtime ends the process when it gets none in the wrong
/// moment, and OpenSSL the session. What takes much says so here, and every so much, or so often, the kernel is asked whether there
/// is some left.
/// </summary>
/// <param name="system">Whom to ask.</param>
internal sealed class MemoryGate(SystemCalls system)
{
    /// <summary>What new clients must leave, in bytes: a collection needs some MB, and what is joined needs some to go on.</summary>
    public const long HeadroomBytes = 16L << 20;

    /// <summary>Below this, dialogues give up theirs.</summary>
    public const long CriticalBytes = 8L << 20;

    /// <summary>Taken by a client up to its greeting, in bytes, about.</summary>
    public const int ClientBytes = 16 * 1024;

    /// <summary>Taken by a handshake, in bytes, about (docs/security.md, "Memory before login").</summary>
    public const int HandshakeBytes = 64 * 1024;

    /// <summary>So much may be taken unasked: some handshakes.</summary>
    private const int UnaskedBytes = 1024 * 1024;

    /// <summary>When so much was freed it is worth the work to give it back to the kernel: some dozen handshakes, or some hundred clients.</summary>
    private const int WorthBytes = 4 * 1024 * 1024;

    private const long AskEveryMilliseconds = 50;

    /// <summary>When there is little, asking is dearer: freed memory must be given back first.</summary>
    private const long AskEveryMillisecondsWhenShort = 250;

    private long _taken;
    private long _askAt;
    private int _freed;

    public MemoryRoom Room { get; private set; }

    /// <summary>Set when the kernel has been asked and there is <see cref="MemoryRoom.Critical"/> little; reset by who has seen to it.</summary>
    public bool MustGiveUp { get; set; }

    /// <summary>Hears that memory has become short.</summary>
    public Action? BecameShort { get; set; }

    /// <summary>Hears each time that much has been freed, which malloc keeps.</summary>
    public Action? FreedMuch { get; set; }

    /// <summary>Bytes a relay reads at a time. What the other side does not take must be kept.</summary>
    public int RelayBytes => Room switch
    {
        MemoryRoom.Plenty => LoopBuffers.InBytes,
        MemoryRoom.Short => 16 * 1024,
        _ => 4 * 1024,
    };

    /// <summary>Whether new clients, or new handshakes, are welcome.</summary>
    public bool HasRoom(long now)
    {
        Refresh(now);
        return Room == MemoryRoom.Plenty;
    }

    /// <summary>Somebody takes about so much.</summary>
    public void Take(int bytes, long now)
    {
        _taken += bytes;
        if (_taken >= UnaskedBytes && (Room == MemoryRoom.Plenty || now >= _askAt))
        {
            Ask(now);
        }
    }

    /// <summary>Asks again if it is time. Costs nothing while nobody takes anything.</summary>
    public void Refresh(long now)
    {
        if ((_taken > 0 || Room != MemoryRoom.Plenty) && now >= _askAt)
        {
            Ask(now);
        }
    }

    /// <summary>Somebody has freed about so much.</summary>
    public void Free(int bytes)
    {
        _freed += bytes;
        if (_freed >= WorthBytes)
        {
            _freed = 0;
            FreedMuch?.Invoke();
        }
    }

    private void Ask(long now)
    {
        MemoryRoom before = Room;
        Room = system.HasRoomFor(HeadroomBytes) ? MemoryRoom.Plenty
            : system.HasRoomFor(CriticalBytes) ? MemoryRoom.Short
            : MemoryRoom.Critical;
        MustGiveUp = Room == MemoryRoom.Critical;
        _taken = 0;
        _askAt = now + (Room == MemoryRoom.Plenty ? AskEveryMilliseconds : AskEveryMillisecondsWhenShort);
        if (before == MemoryRoom.Plenty && Room != MemoryRoom.Plenty)
        {
            BecameShort?.Invoke();
        }
    }
}
