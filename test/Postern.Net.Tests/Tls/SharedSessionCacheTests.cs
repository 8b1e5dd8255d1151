using System.Buffers.Binary;
using Postern.Net.Tls;
using Xunit;

namespace Postern.Net.Tests.Tls;

public sealed class SharedSessionCacheTests
{
    private const int SmallestBytes = 32768;

    private readonly SettableTime _time = new();

    [Fact]
    public void Add_OneMegabyteOfOrdinarySessions_Holds4096()
    {
        SharedSessionCache cache = Create(1 << 20);

        for (int i = 0; i < 8000; i++)
        {
            cache.Add(Id(i), new byte[130], Later(300));
        }

        Assert.Equal(4096, cache.Count);

        // In each of the sixteen shards the oldest have left; how many came to it is a matter of chance.
        Assert.DoesNotContain(Enumerable.Range(0, 2000), i => Holds(cache, Id(i)));
        Assert.All(Enumerable.Range(6000, 2000), i => Assert.True(Holds(cache, Id(i))));
    }

    [Fact]
    public void Add_LargeSession_CountsAsSeveral()
    {
        SharedSessionCache cache = Create(SmallestBytes);

        for (int i = 0; i < 100; i++)
        {
            cache.Add(Id(i), new byte[257], Later(300));
        }

        Assert.Equal(SmallestBytes / 512, cache.Count);
    }

    [Fact]
    public void Add_SessionBeyondTheLimit_IsNotStored()
    {
        SharedSessionCache cache = Create(SmallestBytes);

        cache.Add(Id(1), new byte[SharedSessionCache.MaxSessionBytes + 1], Later(300));
        cache.Add(Id(2), new byte[SharedSessionCache.MaxSessionBytes], Later(300));

        Assert.False(Holds(cache, Id(1)));
        Assert.True(Holds(cache, Id(2)));
    }

    [Fact]
    public void Find_BetweenInsertions_DoesNotMakeASessionYounger()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        for (int i = 0; i < 128; i++)
        {
            cache.Add(Id(i), new byte[100], Later(300));
        }

        Assert.True(Holds(cache, Id(0)));
        cache.Add(Id(128), new byte[100], Later(300));

        Assert.False(Holds(cache, Id(0)));
        Assert.True(Holds(cache, Id(1)));
    }

    [Fact]
    public void Find_AfterItsTime_IsGone()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        cache.Add(Id(1), new byte[100], Later(5));

        _time.Seconds += 4;
        Assert.True(Holds(cache, Id(1)));
        _time.Seconds += 1;
        Assert.False(Holds(cache, Id(1)));
        Assert.Equal(0, cache.Count);
    }

    [Fact]
    public void Add_OldOnesHaveExpired_TheyMakeRoomTwoAtATime()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        for (int i = 0; i < 4; i++)
        {
            cache.Add(Id(i), new byte[100], Later(5));
        }

        _time.Seconds += 10;
        cache.Add(Id(10), new byte[100], Later(5));

        Assert.Equal(3, cache.Count);
    }

    [Fact]
    public void Remove_ThenAddedAgain_OldEntryDoesNotTakeTheNewOneAlong()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        cache.Add(Id(0), new byte[100], Later(300));
        cache.Remove(Id(0));
        Assert.False(Holds(cache, Id(0)));
        for (int i = 1; i < 100; i++)
        {
            cache.Add(Id(i), new byte[100], Later(300));
        }

        cache.Add(Id(0), new byte[100], Later(300));
        for (int i = 100; i < 130; i++)
        {
            cache.Add(Id(i), new byte[100], Later(300));
        }

        Assert.True(Holds(cache, Id(0)));
    }

    [Fact]
    public void Add_RemovedOverAndOver_StaysWithinItsSize()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        cache.Add(Id(-1), new byte[100], Later(300));
        for (int i = 0; i < 1000; i++)
        {
            cache.Add(Id(i), new byte[100], Later(300));
            cache.Remove(Id(i));
        }

        // What was removed keeps its place in the order, and in the account, until it is the oldest.
        Assert.False(Holds(cache, Id(-1)));
        Assert.Equal(0, cache.Count);
    }

    [Fact]
    public void Find_IdOfAnotherLength_IsAnotherId()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        cache.Add(new byte[31], new byte[100], Later(300));

        Assert.False(Holds(cache, new byte[32]));
        Assert.False(Holds(cache, []));
        Assert.False(Holds(cache, new byte[33]));
        Assert.True(Holds(cache, new byte[31]));
    }

    /// <summary>Entries of every size go round the ring again and again; the youngest that fit are there, whole, and no others.</summary>
    [Fact]
    public void Add_AllSizesRoundAndRound_TheYoungestAreThereUnharmed()
    {
        const int Units = SmallestBytes / SharedSessionCache.UnitBytes;
        SharedSessionCache cache = Create(SmallestBytes);
        var random = new Random(20);
        List<byte[]> sessions = [];
        byte[] found = new byte[SharedSessionCache.MaxSessionBytes];
        for (int i = 0; i < 3000; i++)
        {
            byte[] session = new byte[1 + random.Next(random.Next(4) == 0 ? SharedSessionCache.MaxSessionBytes : 300)];
            random.NextBytes(session);
            sessions.Add(session);
            cache.Add(Id(i), session, Later(300));
            int room = Units;
            bool present = true;
            for (int k = i; k >= Math.Max(0, i - Units); k--)
            {
                int length = cache.Find(Id(k), found);
                room -= (sessions[k].Length + SharedSessionCache.UnitBytes - 1) / SharedSessionCache.UnitBytes;
                Assert.True(length == 0 || found.AsSpan(0, length).SequenceEqual(sessions[k]));

                // In the order of their age: where one has left, all older ones have.
                Assert.True(present || length == 0);
                present = length > 0;
                Assert.True(!present || room >= 0);
            }

            Assert.True(cache.Find(Id(i), found) > 0);
        }
    }

    [Fact]
    public void Add_SameIdAgain_TheNewSessionCounts()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        byte[] found = new byte[SharedSessionCache.MaxSessionBytes];
        cache.Add(Id(1), [1, 2, 3], Later(300));

        cache.Add(Id(1), [4, 5], Later(300));

        Assert.Equal(2, cache.Find(Id(1), found));
        Assert.Equal(4, found[0]);
        Assert.Equal(1, cache.Count);
    }

    [Fact]
    public async Task Add_FromManyThreads_KeepsTheSize()
    {
        SharedSessionCache cache = Create(1 << 20);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Factory.StartNew(
            () =>
            {
                for (int i = 0; i < 20000; i++)
                {
                    int number = (thread * 20000) + i;
                    cache.Add(Id(number), new byte[100], Later(300));
                    _ = Holds(cache, Id(number - 50));
                    if (i % 3 == 0)
                    {
                        cache.Remove(Id(number));
                    }
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));

        Assert.InRange(cache.Count, 1, (1 << 20) / SharedSessionCache.UnitBytes);
    }

    [Fact]
    public void Open_SameNameAndSize_IsTheSameCache()
    {
        SharedSessionCache first = SharedSessionCache.Open(new SharedCacheZone("open-test", SmallestBytes));

        Assert.Same(first, SharedSessionCache.Open(new SharedCacheZone("open-test", SmallestBytes)));
        Assert.NotSame(first, SharedSessionCache.Open(new SharedCacheZone("open-test", SmallestBytes * 2)));
        Assert.NotSame(first, SharedSessionCache.Open(new SharedCacheZone("open-test2", SmallestBytes)));
    }

    private static bool Holds(SharedSessionCache cache, byte[] id) => cache.Find(id, new byte[SharedSessionCache.MaxSessionBytes]) > 0;

    private static byte[] Id(int number)
    {
        byte[] id = new byte[32];
        BinaryPrimitives.WriteInt32BigEndian(id.AsSpan(20), number);
        return id;
    }

    private SharedSessionCache Create(long bytes) => new(new SharedCacheZone("S", bytes), _time);

    private long Later(int seconds) => _time.Seconds + seconds;
}
