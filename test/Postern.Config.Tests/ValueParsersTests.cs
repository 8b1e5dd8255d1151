using CsCheck;
using Xunit;

namespace Postern.Config.Tests;

public sealed class ValueParsersTests
{
    private const string Letters = "0123456789 wdhmsMykKg-.";

    [Theory]
    [InlineData("on", true)]
    [InlineData("ON", true)]
    [InlineData("oFf", false)]
    [InlineData("yes", null)]
    [InlineData("", null)]
    public void Flag(string text, bool? expected) => Assert.Equal(expected, ValueParsers.Flag(text));

    [Theory]
    [InlineData("0", 0L)]
    [InlineData("007", 7L)]
    [InlineData("9223372036854775807", long.MaxValue)]
    [InlineData("9223372036854775808", null)]
    [InlineData("-1", null)]
    [InlineData("+1", null)]
    [InlineData("1 ", null)]
    [InlineData("", null)]
    public void Number(string text, long? expected) => Assert.Equal(expected, ValueParsers.Number(text));

    [Theory]
    [InlineData("0", 0L)]
    [InlineData("4k", 4096L)]
    [InlineData("4K", 4096L)]
    [InlineData("1m", 1048576L)]
    [InlineData("1M", 1048576L)]
    [InlineData("1g", null)]
    [InlineData("k", null)]
    [InlineData("", null)]
    [InlineData("-1k", null)]
    [InlineData("9007199254740992k", null)]
    public void Size(string text, long? expected) => Assert.Equal(expected, ValueParsers.Size(text));

    [Theory]
    [InlineData("2g", 2147483648L)]
    [InlineData("2G", 2147483648L)]
    [InlineData("1k", 1024L)]
    [InlineData("1t", null)]
    public void Offset(string text, long? expected) => Assert.Equal(expected, ValueParsers.Offset(text));

    [Theory]
    [InlineData("0", 0L)]
    [InlineData("30", 30_000L)]
    [InlineData("1h 30", 3_630_000L)]
    [InlineData("1h30m5", 5_405_000L)]
    [InlineData("1w2d3h4m5s6ms", 788_645_006L)]
    [InlineData("1m1ms", 60_001L)]
    [InlineData("1s5", 6_000L)]
    [InlineData("1 5", 6_000L)]
    [InlineData(" 30  ", 30_000L)]
    [InlineData("1s 500ms", 1_500L)]
    [InlineData("30m1h", null)]
    [InlineData("1h1h", null)]
    [InlineData("1y", null)]
    [InlineData("1M", null)]
    [InlineData("1H", null)]
    [InlineData("1.5", null)]
    [InlineData("-1", null)]
    [InlineData("30 m", null)]
    [InlineData("1 5 5", null)]
    [InlineData("1 1ms", null)]
    [InlineData("m1", null)]
    [InlineData("", null)]
    [InlineData(" ", null)]
    [InlineData("9223372036854776", null)]
    public void Milliseconds(string text, long? expected) =>
        Assert.Equal(expected is null ? null : TimeSpan.FromMilliseconds(expected.Value), ValueParsers.Milliseconds(text));

    [Fact]
    public void Milliseconds_BeyondTimeSpan_IsTheLongestTime() =>
        Assert.True(ValueParsers.Milliseconds("9223372036854775") > TimeSpan.FromDays(365 * 20_000));

    [Theory]
    [InlineData("1y1M", 34_128_000L)]
    [InlineData("1M1m", 2_592_060L)]
    [InlineData("90", 90L)]
    [InlineData("1ms", null)]
    [InlineData("1m1y", null)]
    public void Seconds(string text, long? expected) => Assert.Equal(expected, ValueParsers.Seconds(text));

    [Fact]
    public void Milliseconds_PartsInOrder_AddUp() =>
        Gen.Select(Gen.Int[0, 50], Gen.Int[0, 50], Gen.Int[0, 99], Gen.Int[0, 9999]).Sample((days, hours, seconds, milliseconds) =>
            ValueParsers.Milliseconds($"{days}d{hours}h{seconds}s{milliseconds}ms") == new TimeSpan(days, hours, 0, seconds, milliseconds));

    [Fact]
    public void Parsers_AnyText_DoNotThrow() => Gen.String[Gen.Int[0, Letters.Length - 1].Select(i => Letters[i]), 0, 40].Sample(text =>
    {
        ValueParsers.Milliseconds(text);
        ValueParsers.Seconds(text);
        ValueParsers.Size(text);
        ValueParsers.Offset(text);
    });
}
