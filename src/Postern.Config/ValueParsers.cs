using System.Globalization;

namespace Postern.Config;

/// <summary>The value types of nginx's configuration language (mail-proxy reference 1.3). Each returns null for text it rejects.</summary>
public static class ValueParsers
{
    /// <summary><c>on</c> or <c>off</c>, in any letter case.</summary>
    public static bool? Flag(string text) =>
        "on".Equals(text, StringComparison.OrdinalIgnoreCase) ? true
        : "off".Equals(text, StringComparison.OrdinalIgnoreCase) ? false
        : null;

    /// <summary>Decimal digits, no sign.</summary>
    public static long? Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;

    /// <summary>A number of bytes with an optional <c>k</c> or <c>m</c>.</summary>
    public static long? Size(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Scaled(text, gigabytes: false);
    }

    /// <summary>As <see cref="Size"/>, plus <c>g</c>.</summary>
    public static long? Offset(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Scaled(text, gigabytes: true);
    }

    /// <summary>
    /// A time with millisecond resolution: <c>w d h m s ms</c> in descending order, a bare number at the end counts seconds.
    /// A time longer than <see cref="TimeSpan"/> holds (29 thousand years) becomes the longest it holds.
    /// </summary>
    public static TimeSpan? Milliseconds(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        long? value = TimeParser.Parse(text, TimeParser.MillisecondUnits, 1000, long.MaxValue);
        const long longest = long.MaxValue / TimeSpan.TicksPerMillisecond;
        return value is null ? null : TimeSpan.FromMilliseconds(Math.Min(value.Value, longest));
    }

    /// <summary>A time with second resolution: <c>y M w d h m s</c> in descending order.</summary>
    /// <returns>Seconds.</returns>
    public static long? Seconds(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TimeParser.Parse(text, TimeParser.SecondUnits, 1, long.MaxValue);
    }

    private static long? Scaled(string text, bool gigabytes)
    {
        long scale = text.Length == 0 ? 1 : text[^1] switch
        {
            'k' or 'K' => 1L << 10,
            'm' or 'M' => 1L << 20,
            'g' or 'G' when gigabytes => 1L << 30,
            _ => 1,
        };
        return Number(scale == 1 ? text : text[..^1]) is long value && value <= long.MaxValue / scale ? value * scale : null;
    }
}
