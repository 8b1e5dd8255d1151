namespace Postern.Config;

/// <summary>Sequences of number and unit, as in <c>1h30m</c>, with units strictly descending.</summary>
internal static class TimeParser
{
    /// <summary>Units of times with millisecond resolution; the size is in milliseconds.</summary>
    public static readonly (string Name, long Size)[] MillisecondUnits =
    [
        ("w", 7L * 24 * 3600 * 1000), ("d", 24L * 3600 * 1000), ("h", 3600L * 1000), ("m", 60L * 1000), ("s", 1000), ("ms", 1),
    ];

    /// <summary>Units of times with second resolution; the size is in seconds. A year has 365 days, a month 30.</summary>
    public static readonly (string Name, long Size)[] SecondUnits =
    [
        ("y", 365L * 24 * 3600), ("M", 30L * 24 * 3600), ("w", 7L * 24 * 3600), ("d", 24L * 3600), ("h", 3600), ("m", 60), ("s", 1),
    ];

    /// <param name="text">The directive's argument.</param>
    /// <param name="units">Accepted units, largest first.</param>
    /// <param name="second">Size of a second, the unit of a bare number.</param>
    /// <param name="limit">The largest total, in the smallest unit.</param>
    /// <returns>The total in the smallest unit, or null.</returns>
    public static long? Parse(string text, (string Name, long Size)[] units, long second, long limit)
    {
        ReadOnlySpan<char> rest = text;
        long total = 0;
        int nextUnit = 0;
        bool any = false;
        while (true)
        {
            rest = rest.TrimStart(' ');
            if (rest.IsEmpty)
            {
                return any ? total : null;
            }

            if (TakeNumber(ref rest) is not long number || TakeUnit(ref rest, units, second, ref nextUnit) is not long size
                || number > limit / size || number * size > limit - total)
            {
                return null;
            }

            total += number * size;
            any = true;
        }
    }

    private static long? TakeNumber(ref ReadOnlySpan<char> rest)
    {
        int length = rest.IndexOfAnyExceptInRange('0', '9');
        length = length < 0 ? rest.Length : length;
        bool ok = long.TryParse(rest[..length], System.Globalization.NumberStyles.None, null, out long number);
        rest = rest[length..];
        return ok ? number : null;
    }

    /// <summary>
    /// Size of the unit in front of <paramref name="rest"/>. A number that ends the text or is followed by a blank counts seconds;
    /// behind such a blank only one more bare number may come.
    /// </summary>
    private static long? TakeUnit(ref ReadOnlySpan<char> rest, (string Name, long Size)[] units, long second, ref int nextUnit)
    {
        if (rest.IsEmpty)
        {
            return second;
        }

        if (rest[0] == ' ')
        {
            bool inOrder = Array.FindIndex(units, unit => unit.Size == second) >= nextUnit;
            nextUnit = units.Length;
            return inOrder ? second : null;
        }

        int found = -1;
        for (int i = nextUnit; i < units.Length; i++)
        {
            // the longer name wins: "m" must not eat the front of "ms"
            if (rest.StartsWith(units[i].Name) && (found < 0 || units[i].Name.Length > units[found].Name.Length))
            {
                found = i;
            }
        }

        if (found < 0)
        {
            return null;
        }

        rest = rest[units[found].Name.Length..];
        nextUnit = found + 1;
        return units[found].Size;
    }
}
