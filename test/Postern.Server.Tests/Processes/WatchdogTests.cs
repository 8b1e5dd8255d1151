using System.Globalization;
using Postern.Server.Processes;
using Xunit;

namespace Postern.Server.Tests.Processes;

/// <summary>When the service manager wants to hear of us (sd_watchdog_enabled(3)).</summary>
public sealed class WatchdogTests
{
    private static readonly string _self = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    [Fact]
    public void IsDue_IntervalOfThreeSeconds_AtOnceAndThenEachSecond()
    {
        var watchdog = new Watchdog("3000000", _self, isSuccessor: false, now: 5000);

        Assert.True(watchdog.IsDue(5000));
        Assert.Equal(6000, watchdog.Next);
        Assert.False(watchdog.IsDue(5999));
        Assert.True(watchdog.IsDue(6300));
        Assert.Equal(7300, watchdog.Next);
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("", null)]
    [InlineData("0", null)]
    [InlineData("-5", null)]
    [InlineData("soon", null)]
    [InlineData("2000000", "1")]
    [InlineData("2000000", "none")]
    public void Next_NoWatchdogOrAnotherProcess_Never(string? microseconds, string? process)
    {
        var watchdog = new Watchdog(microseconds, process, isSuccessor: false, now: 5000);

        Assert.Equal(-1, watchdog.Next);
        Assert.False(watchdog.IsDue(long.MaxValue));
    }

    /// <summary>After an upgrade the variable still names the process that was replaced.</summary>
    [Fact]
    public void Next_SuccessorOfTheProcessMeant_Now() =>
        Assert.Equal(5000, new Watchdog("2000000", "1", isSuccessor: true, now: 5000).Next);
}
