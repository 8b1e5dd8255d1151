using System.Collections.Concurrent;
using Postern.Net;
using Postern.Server.Running;
using Xunit;

namespace Postern.Server.Tests.Running;

/// <summary>Two real loops, one of which can be held up.</summary>
public sealed class LoopWatchTests : IDisposable
{
    private readonly EventLoop[] _loops = [new(LinuxSystemCalls.Instance), new(LinuxSystemCalls.Instance)];
    private readonly Thread[] _threads;
    private readonly OrderQueue _orders = new();
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly LoopWatch _watch;
    private int _answers;

    public LoopWatchTests()
    {
        _watch = new LoopWatch(_orders, (level, text) => _lines.Enqueue($"{level}: {text}"));
        _threads = [.. _loops.Select(loop => new Thread(loop.Run))];
        Array.ForEach(_threads, thread => thread.Start());
    }

    [Fact]
    public void Ask_AllLoopsTurn_OneAnswerForEachQuestion()
    {
        for (int i = 1; i <= 3; i++)
        {
            Ask(now: 1000 * i);
            WaitForAnswers(i);
        }

        Assert.Empty(_lines);
    }

    [Fact]
    public void Ask_OneLoopStuck_NoAnswerUntilItTurnsAndTheLogNamesItOnce()
    {
        using var release = new ManualResetEventSlim();
        _loops[1].Post(release.Wait);

        Ask(now: 1000);
        Ask(now: 1000 + LoopWatch.PatienceMilliseconds - 1);
        Assert.Empty(_lines);
        WaitForLoop(0);
        Ask(now: 16_000);
        Ask(now: 31_000);

        Assert.Equal(["Alert: event loop 1 has not turned for 15000 ms"], _lines);
        Assert.Equal(0, _answers);

        release.Set();
        WaitForAnswers(1);
        Assert.Equal("Notice: event loop 1 turns again", _lines.Last());
    }

    [Fact]
    public void Ask_StuckLoopEnds_TheOthersAnswerCounts()
    {
        using var release = new ManualResetEventSlim();
        _loops[1].Post(release.Wait);

        Ask(now: 1000);
        _watch.OnAnswer(1);
        WaitForAnswers(1);

        release.Set();
    }

    public void Dispose()
    {
        Array.ForEach(_loops, loop => loop.Stop());
        Array.ForEach(_threads, thread => thread.Join());
        Array.ForEach(_loops, loop => loop.Dispose());
        _orders.Dispose();
    }

    private void Ask(long now) => _watch.Ask(_loops.Select((loop, index) => (index, loop)), now, () => _answers++);

    /// <summary>Until the loop's answers so far have been heard.</summary>
    private void WaitForLoop(int index)
    {
        bool heard = false;
        _loops[index].Post(() => _orders.Add(() => heard = true));
        while (!heard)
        {
            _orders.WaitAndRun([], 10_000);
        }
    }

    private void WaitForAnswers(int count)
    {
        long end = Environment.TickCount64 + 10_000;
        while (_answers < count && Environment.TickCount64 < end)
        {
            _orders.WaitAndRun([], 100);
        }

        Assert.Equal(count, _answers);
    }
}
