namespace Postern.Net.Tests.Tls;

/// <summary>A wall clock that stands until it is set.</summary>
internal sealed class SettableTime : TimeProvider
{
    public long Seconds { get; set; } = 1_700_000_000;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeSeconds(Seconds);
}
