using System.Globalization;
using System.Text;

namespace Postern.Demo.Imap;

/// <summary>A command that cannot be understood; its tag, as far as there was one, is answered with BAD.</summary>
internal sealed class ImapSyntaxException(string tag, string message) : Exception(message)
{
    public string Tag { get; } = tag;
}

/// <summary>Reads commands: lines, quoted strings, both kinds of literals, lists (RFC 3501 section 9, RFC 7888).</summary>
internal sealed class ImapReader(LineStream stream)
{
    // A literal lies in memory while its command runs.
    private const int MaxLiteralBytes = 128 * 1024 * 1024;

    /// <summary>The next command; null when the client closed.</summary>
    public async Task<ImapCommand?> ReadCommandAsync(CancellationToken stop)
    {
        // Literals are taken out of the text and stand in it as one NUL, which no line may contain.
        var text = new StringBuilder();
        var literals = new Queue<string>();
        while (true)
        {
            string? line = await stream.ReadLineAsync(stop);
            if (line is null)
            {
                return null;
            }

            int brace = LiteralStart(line, out int length, out bool synchronizing);
            if (brace < 0)
            {
                text.Append(line);
                return Parse(text.ToString(), literals);
            }

            if (length > MaxLiteralBytes)
            {
                throw new ImapSyntaxException(line.Split(' ')[0], "literal too long");
            }

            if (synchronizing)
            {
                await stream.WriteAsync("+ OK\r\n", stop);
            }

            text.Append(line.AsSpan(0, brace)).Append('\0');
            literals.Enqueue(await stream.ReadAsync(length, stop));
        }
    }

    private static int LiteralStart(string line, out int length, out bool synchronizing)
    {
        length = 0;
        synchronizing = !line.EndsWith("+}", StringComparison.Ordinal);
        int brace = line.LastIndexOf('{');
        if (brace < 0 || !line.EndsWith('}'))
        {
            return -1;
        }

        ReadOnlySpan<char> digits = line.AsSpan(brace + 1, line.Length - brace - (synchronizing ? 2 : 3));
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out length) ? brace : -1;
    }

    private static ImapCommand Parse(string text, Queue<string> literals)
    {
        string tag = text.Split(' ')[0];
        var values = new List<ImapValue>();
        int at = 0;
        try
        {
            while (at < text.Length)
            {
                values.Add(ParseValue(text, ref at, literals));
                SkipSpaces(text, ref at);
            }
        }
        catch (FormatException e)
        {
            throw new ImapSyntaxException(tag, e.Message);
        }

        return values.Count >= 2 && !values[0].IsList && !values[1].IsList
            ? new ImapCommand(tag, values[1].Text.ToUpperInvariant(), [.. values.Skip(2)])
            : throw new ImapSyntaxException(tag.Length > 0 ? tag : "*", "a tag and a command are needed");
    }

    private static ImapValue ParseValue(string text, ref int at, Queue<string> literals)
    {
        switch (text[at])
        {
            case '\0':
                at++;
                return new ImapValue(literals.Dequeue(), null);
            case '"':
                return new ImapValue(ParseQuoted(text, ref at), null);
            case '(':
                return ParseList(text, ref at, literals);
            default:
                return new ImapValue(ParseAtom(text, ref at), null);
        }
    }

    private static ImapValue ParseList(string text, ref int at, Queue<string> literals)
    {
        var items = new List<ImapValue>();
        at++;
        SkipSpaces(text, ref at);
        while (at < text.Length && text[at] != ')')
        {
            items.Add(ParseValue(text, ref at, literals));
            SkipSpaces(text, ref at);
        }

        return at++ < text.Length ? new ImapValue("", items) : throw new FormatException("a list without its end");
    }

    private static string ParseQuoted(string text, ref int at)
    {
        var value = new StringBuilder();
        for (at++; at < text.Length; at++)
        {
            if (text[at] == '"')
            {
                at++;
                return value.ToString();
            }

            if (text[at] == '\\')
            {
                at++;
            }

            if (at < text.Length)
            {
                value.Append(text[at]);
            }
        }

        throw new FormatException("a quote without its end");
    }

    // The brackets of BODY[HEADER.FIELDS (FROM TO)] keep spaces and parentheses inside one atom.
    private static string ParseAtom(string text, ref int at)
    {
        int start = at;
        bool inBrackets = false;
        for (; at < text.Length; at++)
        {
            char c = text[at];
            if (c == '[')
            {
                inBrackets = true;
            }
            else if (c == ']')
            {
                inBrackets = false;
            }
            else if (!inBrackets && c is ' ' or '(' or ')' or '"' or '\0')
            {
                break;
            }
        }

        return at > start ? text[start..at] : throw new FormatException("an atom is missing");
    }

    private static void SkipSpaces(string text, ref int at)
    {
        while (at < text.Length && text[at] == ' ')
        {
            at++;
        }
    }
}
