using System.Globalization;
using System.Text;

namespace Postern.Demo;

/// <summary>One token of a command: an atom, a string, or a parenthesis.</summary>
/// <param name="Text">The value; of a literal as Latin-1.</param>
/// <param name="IsString">Quoted or literal, so never a keyword or parenthesis.</param>
internal readonly record struct DemoImapToken(string Text, bool IsString)
{
    public bool Is(string keyword) => !IsString && Text.Equals(keyword, StringComparison.OrdinalIgnoreCase);
}

/// <summary>Reads one command with its literals (RFC 3501 section 2.2, RFC 7888) and splits it.</summary>
internal static class DemoImapTokens
{
    private const int MaxLiteralBytes = 128 * 1024 * 1024;

    /// <returns>Tag, verb and arguments; null at the end of the stream.</returns>
    public static async ValueTask<List<DemoImapToken>?> ReadAsync(LineStream stream, CancellationToken stop)
    {
        List<DemoImapToken> tokens = [];
        while (await stream.ReadLineAsync(stop).ConfigureAwait(false) is { } line)
        {
            int? literal = TakeLiteral(ref line, out bool synchronising);
            Split(line, tokens);
            if (literal is not { } size)
            {
                return tokens;
            }

            if (size > MaxLiteralBytes)
            {
                throw new FormatException("literal too large");
            }

            if (synchronising)
            {
                await stream.WriteAsync("+ go ahead\r\n", stop).ConfigureAwait(false);
            }

            byte[] bytes = await stream.ReadBytesAsync(size, stop).ConfigureAwait(false);
            tokens.Add(new DemoImapToken(Encoding.Latin1.GetString(bytes), IsString: true));
        }

        return null;
    }

    /// <summary>Cuts <c>{n}</c> or <c>{n+}</c> off the end of the line.</summary>
    private static int? TakeLiteral(ref string line, out bool synchronising)
    {
        synchronising = true;
        int brace = line.LastIndexOf('{');
        if (!line.EndsWith('}') || brace < 0)
        {
            return null;
        }

        ReadOnlySpan<char> digits = line.AsSpan(brace + 1, line.Length - brace - 2);
        if (digits.EndsWith("+"))
        {
            synchronising = false;
            digits = digits[..^1];
        }

        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int size))
        {
            return null;
        }

        line = line[..brace];
        return size;
    }

    private static void Split(string line, List<DemoImapToken> tokens)
    {
        int i = 0;
        while (i < line.Length)
        {
            switch (line[i])
            {
                case ' ':
                    i++;
                    break;
                case '(' or ')':
                    tokens.Add(new DemoImapToken(line[i].ToString(), IsString: false));
                    i++;
                    break;
                case '"':
                    tokens.Add(new DemoImapToken(Quoted(line, ref i), IsString: true));
                    break;
                default:
                    tokens.Add(new DemoImapToken(Atom(line, ref i), IsString: false));
                    break;
            }
        }
    }

    private static string Quoted(string line, ref int i)
    {
        var text = new StringBuilder();
        for (i++; i < line.Length && line[i] != '"'; i++)
        {
            if (line[i] == '\\' && i + 1 < line.Length)
            {
                i++;
            }

            text.Append(line[i]);
        }

        i++;
        return text.ToString();
    }

    /// <summary>An atom; the brackets of <c>BODY[HEADER.FIELDS (FROM TO)]</c> keep what is inside.</summary>
    private static string Atom(string line, ref int i)
    {
        int start = i;
        int depth = 0;
        for (; i < line.Length; i++)
        {
            depth += line[i] == '[' ? 1 : line[i] == ']' ? -1 : 0;
            if (depth <= 0 && line[i] is ' ' or '(' or ')' && depth <= 0)
            {
                break;
            }
        }

        return line[start..i];
    }
}
