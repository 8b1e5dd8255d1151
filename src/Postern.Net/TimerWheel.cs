using System.Numerics;

namespace Postern.Net;

/// <summary>
/// A hierarchical timing wheel: arm and cancel in constant time without allocation, coarse (a timer fires up to
/// <see cref="TickMilliseconds"/> late, never early). One per loop, not thread-safe.
/// </summary>
/// <remarks>
/// Level 0 holds the next 256 ticks, level 1 the next 256 turns of level 0, and so on; four levels span years.
/// A timer of a higher level is moved down when the level below has turned once.
/// </remarks>
public sealed class TimerWheel
{
    /// <summary>Length of one tick in milliseconds.</summary>
    public const int TickMilliseconds = 16;

    private const int Levels = 4;
    private const int SlotBits = 8;
    private const int SlotsPerLevel = 1 << SlotBits;
    private const int SlotMask = SlotsPerLevel - 1;
    private const long MaxTicks = (1L << (Levels * SlotBits)) - 1;

    private readonly LoopTimer?[] _slots = new LoopTimer?[Levels * SlotsPerLevel];
    private readonly ulong[] _occupied = new ulong[Levels * SlotsPerLevel / 64];
    private long _tick;
    private int _count;
    private bool _cascading;
    private bool _advancing;

    /// <param name="nowMilliseconds">The loop's clock at this moment.</param>
    public TimerWheel(long nowMilliseconds)
    {
        _tick = nowMilliseconds / TickMilliseconds;
    }

    /// <summary>Number of armed timers.</summary>
    public int Count => _count;

    /// <summary>Arms the timer, or moves it if it is armed already.</summary>
    public void Arm(LoopTimer timer, long nowMilliseconds, long delayMilliseconds)
    {
        Cancel(timer);
        if (_count == 0 && !_advancing)
        {
            // The clock went on while there was nothing to watch; those ticks need not be walked through later.
            _tick = Math.Max(_tick, nowMilliseconds / TickMilliseconds);
        }

        timer.DueMilliseconds = nowMilliseconds + Math.Max(0, delayMilliseconds);
        Insert(timer);
        _count++;
    }

    /// <summary>Disarms the timer; nothing happens if it is not armed.</summary>
    public void Cancel(LoopTimer timer)
    {
        if (timer.Slot >= 0)
        {
            Unlink(timer);
            _count--;
        }
    }

    /// <summary>Fires every timer whose time has come.</summary>
    public void Advance(long nowMilliseconds)
    {
        long target = nowMilliseconds / TickMilliseconds;
        if (_count == 0)
        {
            _tick = Math.Max(_tick, target);
            return;
        }

        _advancing = true;
        while (_tick < target)
        {
            _tick++;
            _cascading = true;
            Cascade();
            _cascading = false;
            FireSlot((int)(_tick & SlotMask));
            if (_count == 0)
            {
                _tick = target;
            }
        }

        _advancing = false;
    }

    /// <summary>Milliseconds until <see cref="Advance"/> should be called again; -1 = no timer is armed.</summary>
    public int NextDelayMilliseconds(long nowMilliseconds)
    {
        if (_count == 0)
        {
            return -1;
        }

        // Slots of level 0 behind the current tick belong to the next turn; the turn's end must be met anyway to cascade.
        int position = (int)(_tick & SlotMask);
        int next = NextOccupied(position + 1);
        long ticks = next - position;
        long due = ((_tick + ticks) * TickMilliseconds) - nowMilliseconds;
        return (int)Math.Clamp(due, 0, int.MaxValue);
    }

    private int NextOccupied(int from)
    {
        for (int word = from >> 6; word < SlotsPerLevel / 64; word++)
        {
            ulong bits = _occupied[word];
            if (word == from >> 6)
            {
                bits &= ulong.MaxValue << (from & 63);
            }

            if (bits != 0)
            {
                return (word << 6) + BitOperations.TrailingZeroCount(bits);
            }
        }

        return SlotsPerLevel;
    }

    private void Cascade()
    {
        for (int level = 1; level < Levels; level++)
        {
            if (((_tick >> ((level - 1) * SlotBits)) & SlotMask) != 0)
            {
                return;
            }

            int slot = (level * SlotsPerLevel) + (int)((_tick >> (level * SlotBits)) & SlotMask);
            while (_slots[slot] is { } timer)
            {
                Unlink(timer);
                Insert(timer);
            }
        }
    }

    private void FireSlot(int slot)
    {
        // A callback may arm timers, but never into this slot: new ones are due at the next tick at the earliest.
        while (_slots[slot] is { } timer)
        {
            Unlink(timer);
            _count--;
            timer.OnExpired();
        }
    }

    private void Insert(LoopTimer timer)
    {
        long due = (timer.DueMilliseconds + TickMilliseconds - 1) / TickMilliseconds;
        long delta = Math.Clamp(due - _tick, 0, MaxTicks);
        due = _tick + delta;
        int level = 0;
        if (delta == 0)
        {
            // Due now: during a cascade the current slot is fired right after; otherwise the next one is.
            due = _cascading ? _tick : _tick + 1;
        }
        else
        {
            while (delta >> ((level + 1) * SlotBits) != 0)
            {
                level++;
            }
        }

        Link(timer, (level * SlotsPerLevel) + (int)((due >> (level * SlotBits)) & SlotMask));
    }

    private void Link(LoopTimer timer, int slot)
    {
        LoopTimer? head = _slots[slot];
        timer.Slot = slot;
        timer.Previous = null;
        timer.Next = head;
        if (head is not null)
        {
            head.Previous = timer;
        }

        _slots[slot] = timer;
        _occupied[slot >> 6] |= 1UL << (slot & 63);
    }

    private void Unlink(LoopTimer timer)
    {
        if (timer.Previous is null)
        {
            _slots[timer.Slot] = timer.Next;
            if (timer.Next is null)
            {
                _occupied[timer.Slot >> 6] &= ~(1UL << (timer.Slot & 63));
            }
        }
        else
        {
            timer.Previous.Next = timer.Next;
        }

        if (timer.Next is not null)
        {
            timer.Next.Previous = timer.Previous;
        }

        timer.Next = timer.Previous = null;
        timer.Slot = -1;
    }
}
