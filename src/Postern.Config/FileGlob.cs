using System.IO.Enumeration;

namespace Postern.Config;

/// <summary>File name patterns of <c>include</c>: <c>*</c>, <c>?</c> and <c>[…]</c> in any component, as glob(3) reads them.</summary>
internal static class FileGlob
{
    private static readonly System.Buffers.SearchValues<char> _special = System.Buffers.SearchValues.Create("*?[");

    /// <summary>Whether a name is a pattern at all.</summary>
    public static bool IsPattern(string name) => name.AsSpan().ContainsAny(_special);

    /// <summary>Existing paths that match, in byte order; empty if there are none.</summary>
    /// <param name="pattern">An absolute pattern.</param>
    public static IReadOnlyList<string> Expand(string pattern)
    {
        IEnumerable<string> found = [""];
        foreach (string component in pattern.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            found = [.. found.SelectMany(directory => ExpandComponent(directory, component))];
        }

        return [.. found.Order(StringComparer.Ordinal)];
    }

    private static IEnumerable<string> ExpandComponent(string directory, string component)
    {
        if (!IsPattern(component))
        {
            string path = $"{directory}/{component}";
            return Path.Exists(path) ? [path] : [];
        }

        return Entries(directory.Length == 0 ? "/" : directory)
            .Where(name => Matches(component, name))
            .Select(name => $"{directory}/{name}");
    }

    private static List<string> Entries(string directory)
    {
        try
        {
            return [.. new FileSystemEnumerable<string>(
                directory, (ref FileSystemEntry entry) => entry.FileName.ToString(), new() { AttributesToSkip = 0 })];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return []; // glob(3) skips what it cannot list
        }
    }

    /// <summary>Whether one path component matches; a leading dot has to be written out.</summary>
    internal static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name) =>
        !(name.StartsWith('.') && !pattern.StartsWith('.')) && MatchesFrom(pattern, name);

    private static bool MatchesFrom(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        while (!pattern.IsEmpty)
        {
            if (pattern[0] == '*')
            {
                return MatchesStar(pattern[1..], name);
            }

            if (name.IsEmpty || !TakeOne(ref pattern, name[0]))
            {
                return false;
            }

            name = name[1..];
        }

        return name.IsEmpty;
    }

    private static bool MatchesStar(ReadOnlySpan<char> rest, ReadOnlySpan<char> name)
    {
        for (int skipped = 0; skipped <= name.Length; skipped++)
        {
            if (MatchesFrom(rest, name[skipped..]))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Consumes the pattern of one character.</summary>
    private static bool TakeOne(ref ReadOnlySpan<char> pattern, char value)
    {
        char first = pattern[0];
        if (first == '[' && pattern[1..].IndexOf(']') >= 0 && TrySet(pattern, value, out bool matched, out int length))
        {
            pattern = pattern[length..];
            return matched;
        }

        if (first == '\\' && pattern.Length > 1)
        {
            first = pattern[1];
            pattern = pattern[1..];
        }
        else if (first == '?')
        {
            first = value;
        }

        pattern = pattern[1..];
        return first == value;
    }

    /// <summary>Reads <c>[a-z]</c> or <c>[!a-z]</c>; a <c>]</c> in front belongs to the set.</summary>
    private static bool TrySet(ReadOnlySpan<char> pattern, char value, out bool matched, out int length)
    {
        int at = 1;
        bool negated = at < pattern.Length && pattern[at] is '!' or '^';
        at += negated ? 1 : 0;
        int first = at;
        bool inSet = false;
        while (at < pattern.Length && (pattern[at] != ']' || at == first))
        {
            char low = pattern[at];
            char high = low;
            if (at + 2 < pattern.Length && pattern[at + 1] == '-' && pattern[at + 2] != ']')
            {
                high = pattern[at + 2];
                at += 2;
            }

            inSet |= value >= low && value <= high;
            at++;
        }

        matched = inSet != negated;
        length = at + 1;
        return at < pattern.Length;
    }
}
