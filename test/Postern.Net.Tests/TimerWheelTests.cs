using CsCheck;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>The wheel against a model that keeps a plain list.</summary>
public sealed class TimerWheelTests
{
    private const int Tick = TimerWheel.TickMilliseconds;

    private enum Kind
    {
        Arm,
        Cancel,
        Advance,
        Sleep,
    }

    [Fact]
    public void RandomArmCancelAdvance_AgreesWithTheModel()
    {
        Gen<long> delay = Gen.OneOf(
            Gen.Long[0, 64], Gen.Long[0, 5000], Gen.Long[4000, 4200], Gen.Long[0, 2_000_000], Gen.Long[1_048_000, 1_049_000],
            Gen.Long[0, 300_000_000]);
        Gen<(Kind Kind, int Timer, long Time, long Again)> step = Gen.Select(
            Gen.Int[0, 5].Select(kind => kind switch { 0 or 1 => Kind.Arm, 2 => Kind.Cancel, 3 => Kind.Advance, _ => Kind.Sleep }),
            Gen.Int[0, 7],
            delay,
            Gen.OneOf(Gen.Const(-1L), Gen.Long[0, 400]));
        step.Array[1, 60].Sample(steps => new Model(123_457).Play(steps), iter: 2000);
    }

    [Fact]
    public void Arm_AfterLongIdleness_DoesNotWalkThroughTheTicks()
    {
        var wheel = new TimerWheel(0);
        const long Years = 3L * 365 * 24 * 3600 * 1000;
        var timer = new Timer(() => { });
        wheel.Arm(timer, Years, 1000);
        Assert.InRange(wheel.NextDelayMilliseconds(Years), 1000, 1000 + Tick);
    }

    [Fact]
    public void OnExpired_ArmsAnotherAfterTheWheelRanEmpty_NotEarly()
    {
        var wheel = new TimerWheel(0);
        long now = 256 * Tick * 3;
        List<long> fired = [];
        Timer? second = null;
        second = new Timer(() => fired.Add(now));
        var first = new Timer(() => wheel.Arm(second, now, 5 * Tick));
        wheel.Arm(first, 0, 5 * Tick);
        wheel.Advance(now);
        Assert.Empty(fired);
        now += 6 * Tick;
        wheel.Advance(now);
        Assert.Single(fired);
    }

    [Fact]
    public void OnExpired_CancelsOthersOfTheSameSlot_TheyDoNotFire()
    {
        var wheel = new TimerWheel(0);
        int fired = 0;
        Timer[] timers = new Timer[4];
        for (int i = 0; i < timers.Length; i++)
        {
            timers[i] = new Timer(() =>
            {
                fired++;
                Array.ForEach(timers, wheel.Cancel);
            });
        }

        Array.ForEach(timers, timer => wheel.Arm(timer, 0, 100));
        wheel.Advance(1000);
        Assert.Equal(1, fired);
        Assert.Equal(0, wheel.Count);
        Assert.Equal(-1, wheel.NextDelayMilliseconds(1000));
    }

    private sealed class Timer(Action expired) : LoopTimer
    {
        protected internal override void OnExpired() => expired();
    }

    /// <summary>Eight timers, each with the time it is due, and a clock.</summary>
    private sealed class Model
    {
        private readonly TimerWheel _wheel;
        private readonly Timer[] _timers = new Timer[8];
        private readonly long?[] _due = new long?[8];
        private readonly long[] _again = new long[8];
        private long _now;

        public Model(long now)
        {
            _now = now;
            _wheel = new TimerWheel(now);
            for (int i = 0; i < _timers.Length; i++)
            {
                int index = i;
                _timers[i] = new Timer(() => OnFired(index));
            }
        }

        public void Play((Kind Kind, int Timer, long Time, long Again)[] steps)
        {
            foreach ((Kind kind, int timer, long time, long again) in steps)
            {
                switch (kind)
                {
                    case Kind.Arm:
                        Arm(timer, time);
                        _again[timer] = again;
                        break;
                    case Kind.Cancel:
                        _wheel.Cancel(_timers[timer]);
                        _due[timer] = null;
                        break;
                    case Kind.Advance:
                        _now += time % 3000;
                        Advance();
                        break;
                    default:
                        Sleep();
                        break;
                }

                Assert.Equal(_due.Count(due => due is not null), _wheel.Count);
            }
        }

        private void Arm(int timer, long delay)
        {
            _wheel.Arm(_timers[timer], _now, delay);
            _due[timer] = _now + delay;
        }

        private void OnFired(int timer)
        {
            Assert.True(_due[timer] <= _now, "fired early");
            _due[timer] = null;
            if (_again[timer] >= 0)
            {
                Arm(timer, _again[timer]);
                _again[timer] = -1;
            }
        }

        private void Advance()
        {
            long?[] before = [.. _due];
            _wheel.Advance(_now);
            for (int i = 0; i < before.Length; i++)
            {
                Assert.False(_due[i] is { } due && due == before[i] && due <= _now - (2 * Tick), "fired late");
            }
        }

        /// <summary>Sleeps as the loop would: no longer than until the earliest timer is due, and a tick.</summary>
        private void Sleep()
        {
            int delay = _wheel.NextDelayMilliseconds(_now);
            long? earliest = _due.Min();
            Assert.Equal(earliest is null, delay == -1);
            if (earliest is { } due)
            {
                Assert.True(_now + delay <= Math.Max(due, _now) + (2 * Tick), "wakes too late");
                _now += delay;
                Advance();
            }
        }
    }
}
