using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Postern.TestKit.Scripted;

namespace Postern.TestKit.Scenarios;

/// <summary>
/// Reads an IMAP LOGIN as an upstream does, in whatever form the proxy chose to write it (RFC 9051 section 6.2.3): quoted strings, atoms,
/// or literals, whose synchronising form gets its continuation.
/// </summary>
public static partial class UpstreamLogin
{
    /// <summary>The tag, the user and the password of the command, decoded.</summary>
    public static async Task<(string Tag, string User, string Password)> ReadAsync(ScriptedConnection connection, string continuation = "+ go\r\n")
    {
        ArgumentNullException.ThrowIfNull(connection);
        string line = await LineAsync(connection);
        Match start = Start().Match(line);
        if (!start.Success)
        {
            throw new FormatException($"Not a LOGIN: \"{Text.Show(line)}\"");
        }

        string rest = line[start.Length..];
        (string user, rest) = await ArgumentAsync(connection, rest, continuation);
        if (!rest.StartsWith(' '))
        {
            throw new FormatException($"No space behind the user name: \"{Text.Show(rest)}\"");
        }

        (string password, rest) = await ArgumentAsync(connection, rest[1..], continuation);
        return rest.Length == 0
            ? (start.Groups[1].Value, user, password)
            : throw new FormatException($"More behind the password: \"{Text.Show(rest)}\"");
    }

    private static async Task<(string Value, string Remainder)> ArgumentAsync(ScriptedConnection connection, string text, string continuation)
    {
        if (Literal().Match(text) is { Success: true } literal)
        {
            if (literal.Groups[2].Length == 0)
            {
                await connection.WriteAsync(continuation);
            }

            int length = int.Parse(literal.Groups[1].Value, CultureInfo.InvariantCulture);
            string bytes = await connection.ReadAsync(length);
            return bytes.Length == length
                ? (bytes, await LineAsync(connection))
                : throw new FormatException($"Closed in a literal of {length} bytes: \"{Text.Show(bytes)}\"");
        }

        if (text.StartsWith('"'))
        {
            return Quoted(text);
        }

        int end = text.IndexOf(' ', StringComparison.Ordinal) is var space and >= 0 ? space : text.Length;
        return end > 0 ? (text[..end], text[end..]) : throw new FormatException("An empty argument");
    }

    // RFC 9051 section 9: inside quotes only the quote and the backslash are escaped, and only 7-bit characters stand.
    private static (string Value, string Remainder) Quoted(string text)
    {
        var value = new StringBuilder();
        for (int i = 1; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '"')
            {
                return (value.ToString(), text[(i + 1)..]);
            }

            if (c == '\\')
            {
                c = ++i < text.Length && text[i] is '"' or '\\' ? text[i] : throw new FormatException($"A bad escape in \"{Text.Show(text)}\"");
            }
            else if (c is '\0' or '\r' or '\n' or > '\x7F')
            {
                throw new FormatException($"A byte that may not be quoted in \"{Text.Show(text)}\"");
            }

            value.Append(c);
        }

        throw new FormatException($"No closing quote in \"{Text.Show(text)}\"");
    }

    private static async Task<string> LineAsync(ScriptedConnection connection)
    {
        string line = await connection.ReadLineAsync() ?? throw new EndOfStreamException("The proxy closed instead of sending LOGIN.");
        return line.EndsWith("\r\n", StringComparison.Ordinal) ? line[..^2] : throw new FormatException($"No CRLF: \"{Text.Show(line)}\"");
    }

    [GeneratedRegex(@"\A(\S+) LOGIN ")]
    private static partial Regex Start();

    [GeneratedRegex(@"\A\{([0-9]+)(\+?)\}\z")]
    private static partial Regex Literal();
}
