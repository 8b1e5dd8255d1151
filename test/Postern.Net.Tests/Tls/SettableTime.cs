namespace Postern.Net.Tests.Tls;

/// <summary>A wall clock that stands until it is set, and one beside it that only time moves.</summary>
internal sealed class SettableTime : TimeProvider
{
    public long Seconds { get; set; } = 1_700_000_000;

    private long _uptime = 1000;

    public override long TimestampFrequency => 1;

    public override long GetTimestamp() => _uptime;

    /// <summary>Time passes, and both clocks show it.</summary>
    public void Pass(long seconds)
    {
        Seconds += seconds;
        _uptime += seconds;
    }

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeSeconds(Seconds);
}
