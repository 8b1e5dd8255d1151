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

        for (int i = 0; i < 5000; i++)
        {
            cache.Add(Id(i), new byte[130], Later(300));
        }

        Assert.Equal(4096, cache.Count);
        Assert.Null(cache.Find(Id(5000 - 4096 - 1)));
        Assert.NotNull(cache.Find(Id(5000 - 4096)));
        Assert.NotNull(cache.Find(Id(4999)));
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

        Assert.Null(cache.Find(Id(1)));
        Assert.NotNull(cache.Find(Id(2)));
    }

    [Fact]
    public void Find_BetweenInsertions_DoesNotMakeASessionYounger()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        for (int i = 0; i < 128; i++)
        {
            cache.Add(Id(i), new byte[100], Later(300));
        }

        Assert.NotNull(cache.Find(Id(0)));
        cache.Add(Id(128), new byte[100], Later(300));

        Assert.Null(cache.Find(Id(0)));
        Assert.NotNull(cache.Find(Id(1)));
    }

    [Fact]
    public void Find_AfterItsTime_IsGone()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        cache.Add(Id(1), new byte[100], Later(5));

        _time.Seconds += 4;
        Assert.NotNull(cache.Find(Id(1)));
        _time.Seconds += 1;
        Assert.Null(cache.Find(Id(1)));
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
        Assert.Null(cache.Find(Id(0)));
        for (int i = 1; i < 100; i++)
        {
            cache.Add(Id(i), new byte[100], Later(300));
        }

        cache.Add(Id(0), new byte[100], Later(300));
        for (int i = 100; i < 130; i++)
        {
            cache.Add(Id(i), new byte[100], Later(300));
        }

        Assert.NotNull(cache.Find(Id(0)));
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
        Assert.Null(cache.Find(Id(-1)));
        Assert.Equal(0, cache.Count);
    }

    [Fact]
    public void Find_IdOfAnotherLength_IsAnotherId()
    {
        SharedSessionCache cache = Create(SmallestBytes);
        cache.Add(new byte[31], new byte[100], Later(300));

        Assert.Null(cache.Find(new byte[32]));
        Assert.Null(cache.Find([]));
        Assert.Null(cache.Find(new byte[33]));
        Assert.NotNull(cache.Find(new byte[31]));
    }

    [Fact]
    public async Task Add_FromManyThreads_KeepsTheSize()
    {
        SharedSessionCache cache = Create(SmallestBytes);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Factory.StartNew(
            () =>
            {
                for (int i = 0; i < 20000; i++)
                {
                    int number = (thread * 20000) + i;
                    cache.Add(Id(number), new byte[100], Later(300));
                    _ = cache.Find(Id(number - 50));
                    if (i % 3 == 0)
                    {
                        cache.Remove(Id(number));
                    }
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));

        Assert.InRange(cache.Count, 1, SmallestBytes / SharedSessionCache.UnitBytes);
    }

    [Fact]
    public void Open_SameNameAndSize_IsTheSameCache()
    {
        SharedSessionCache first = SharedSessionCache.Open(new SharedCacheZone("open-test", SmallestBytes));

        Assert.Same(first, SharedSessionCache.Open(new SharedCacheZone("open-test", SmallestBytes)));
        Assert.NotSame(first, SharedSessionCache.Open(new SharedCacheZone("open-test", SmallestBytes * 2)));
        Assert.NotSame(first, SharedSessionCache.Open(new SharedCacheZone("open-test2", SmallestBytes)));
    }

    private static byte[] Id(int number)
    {
        byte[] id = new byte[32];
        BinaryPrimitives.WriteInt32BigEndian(id.AsSpan(20), number);
        return id;
    }

    private SharedSessionCache Create(long bytes) => new(new SharedCacheZone("S", bytes), _time);

    private long Later(int seconds) => _time.Seconds + seconds;
}
