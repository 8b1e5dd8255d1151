using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Postern.TestKit.Scenarios;

/// <summary>
/// A piece of scenario text with escapes (<c>\r \n \t \0 \\ \xNN</c>) and placeholders between <c>&lt;&lt;</c> and <c>&gt;&gt;</c>:
/// <c>x*N</c> repeats a character, <c>b64:TEXT</c> is the base64 of the text (escapes allowed), <c>NAME</c> is a value known to
/// the run (ports, folder) or, in an expectation, matches anything and is remembered under that name, <c>unb64:NAME</c>
/// matches base64 and remembers what it decodes to, <c>any</c> matches anything.
/// </summary>
public static partial class Template
{
    /// <summary>The exact bytes a template stands for.</summary>
    public static string Render(string template, IReadOnlyDictionary<string, string> values)
    {
        var text = new StringBuilder();
        foreach (Part part in Split(template))
        {
            text.Append(part.IsPlaceholder ? Resolve(part.Text, values) ?? throw Unknown(part.Text) : Unescape(part.Text));
        }

        return text.ToString();
    }

    /// <summary>Whether the actual text is what the template describes; new names in it are added to the values.</summary>
    public static bool Matches(string template, string actual, IDictionary<string, string> values)
    {
        var known = new Dictionary<string, string>(values);
        var captures = new List<string>();
        string pattern = @"\A" + PatternOf(template, known, captures) + @"\z";
        Match match = Regex.Match(actual, pattern, RegexOptions.Singleline | RegexOptions.CultureInvariant);
        return match.Success && captures.Select((name, i) => Remember(name, match.Groups[i + 1].Value, values)).All(ok => ok);
    }

    /// <summary>A regular expression that finds the template anywhere in a text.</summary>
    public static Regex Finder(string template, IReadOnlyDictionary<string, string> values) =>
        new(PatternOf(template, values, []), RegexOptions.CultureInvariant);

    private static string PatternOf(string template, IReadOnlyDictionary<string, string> known, List<string> captures)
    {
        var pattern = new StringBuilder();
        foreach (Part part in Split(template))
        {
            if (!part.IsPlaceholder)
            {
                pattern.Append(Regex.Escape(Unescape(part.Text)));
            }
            else if (part.Text == "any")
            {
                pattern.Append(".*");
            }
            else if (Resolve(part.Text, known) is { } value)
            {
                pattern.Append(Regex.Escape(value));
            }
            else
            {
                captures.Add(part.Text);
                pattern.Append("(.*)");
            }
        }

        return pattern.ToString();
    }

    private static bool Remember(string name, string value, IDictionary<string, string> values)
    {
        if (name.StartsWith("unb64:", StringComparison.Ordinal))
        {
            byte[] decoded = new byte[value.Length];
            if (!Convert.TryFromBase64String(value, decoded, out int length))
            {
                return false;
            }

            return Remember(name["unb64:".Length..], Text.Of(decoded.AsSpan(0, length)), values);
        }

        if (values.TryGetValue(name, out string? known))
        {
            return known == value;
        }

        values[name] = value;
        return true;
    }

    private static string? Resolve(string placeholder, IReadOnlyDictionary<string, string> values)
    {
        if (Repetition().Match(placeholder) is { Success: true } repetition)
        {
            return string.Concat(Enumerable.Repeat(Unescape(repetition.Groups[1].Value), int.Parse(repetition.Groups[2].Value, CultureInfo.InvariantCulture)));
        }

        if (placeholder.StartsWith("b64:", StringComparison.Ordinal))
        {
            return Convert.ToBase64String(Text.Bytes(Unescape(placeholder["b64:".Length..])));
        }

        return values.GetValueOrDefault(placeholder);
    }

    private static string Unescape(string text) => Escape().Replace(text, match => match.Value[1] switch
    {
        'r' => "\r",
        'n' => "\n",
        't' => "\t",
        '0' => "\0",
        '\\' => "\\",
        'x' => ((char)Convert.ToByte(match.Value[2..], 16)).ToString(),
        _ => throw new FormatException($"Unknown escape {match.Value}"),
    });

    private static IEnumerable<Part> Split(string template)
    {
        int at = 0;
        foreach (Match match in Placeholder().Matches(template))
        {
            yield return new Part(template[at..match.Index], false);
            yield return new Part(match.Groups[1].Value, true);
            at = match.Index + match.Length;
        }

        yield return new Part(template[at..], false);
    }

    private static FormatException Unknown(string placeholder) => new($"Nothing is known under <<{placeholder}>>");

    [GeneratedRegex("<<(.+?)>>")]
    private static partial Regex Placeholder();

    [GeneratedRegex(@"\\(x[0-9A-Fa-f]{2}|.)")]
    private static partial Regex Escape();

    [GeneratedRegex(@"\A(.+)\*([0-9]+)\z", RegexOptions.Singleline)]
    private static partial Regex Repetition();

    private readonly record struct Part(string Text, bool IsPlaceholder);
}
