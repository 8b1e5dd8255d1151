using System.Globalization;
using System.Text;
using Postern.Demo.Mail;

namespace Postern.Demo.Imap;

/// <summary>What FETCH shows of a message. Text is Latin-1: one character is one byte.</summary>
internal static class MessageParts
{
    /// <summary>The bytes of a section such as <c>HEADER</c>, <c>TEXT</c>, <c>1</c> or nothing (RFC 3501 section 6.4.5).</summary>
    public static string Section(DemoMessage message, string section)
    {
        string content = Encoding.Latin1.GetString(message.Content);
        int body = BodyStart(content);
        string name = section.ToUpperInvariant();
        if (name.StartsWith("HEADER.FIELDS", StringComparison.Ordinal))
        {
            return Fields(content[..body], name);
        }

        return name switch
        {
            "" => content,
            "HEADER" or "1.MIME" or "MIME" => content[..body],
            "TEXT" or "1" => content[body..],
            _ => "",
        };
    }

    /// <summary>The ENVELOPE structure (RFC 3501 section 7.4.2).</summary>
    public static string Envelope(DemoMessage message)
    {
        List<(string Name, string Value)> headers = Headers(Section(message, "HEADER"));
        string from = Addresses("From");
        return $"({Text("Date")} {Text("Subject")} {from} {Or("Sender")} {Or("Reply-To")} "
            + $"{Addresses("To")} {Addresses("Cc")} {Addresses("Bcc")} {Text("In-Reply-To")} {Text("Message-ID")})";

        string? Value(string name) => headers.FirstOrDefault(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;
        string Text(string name) => Value(name) is { } value ? String(value) : "NIL";
        string Addresses(string name) => Value(name) is { } value ? AddressList(value) : "NIL";
        string Or(string name) => Value(name) is { } value ? AddressList(value) : from;
    }

    /// <summary>BODY or, extended, BODYSTRUCTURE: every message is shown as one text part.</summary>
    public static string BodyStructure(DemoMessage message, bool extended)
    {
        string body = Section(message, "TEXT");
        int lines = body.Count(c => c == '\n');
        string structure = $"\"TEXT\" \"PLAIN\" (\"CHARSET\" \"UTF-8\") NIL NIL \"8BIT\" {body.Length} {lines}";
        return extended ? $"({structure} NIL NIL NIL NIL)" : $"({structure})";
    }

    public static string InternalDate(DemoMessage message) =>
        $"\"{message.Arrived.UtcDateTime.ToString("dd-MMM-yyyy HH:mm:ss", CultureInfo.InvariantCulture)} +0000\"";

    /// <summary>A quoted string where the bytes allow, otherwise a literal.</summary>
    public static string String(string text) =>
        text.All(c => c is >= ' ' and <= '~')
            ? $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\""
            : Literal(text);

    public static string Literal(string text) => $"{{{text.Length}}}\r\n{text}";

    private static int BodyStart(string content)
    {
        int blank = content.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        return blank < 0 ? content.Length : blank + 4;
    }

    private static string Fields(string header, string section)
    {
        bool exclude = section.StartsWith("HEADER.FIELDS.NOT", StringComparison.Ordinal);
        int open = section.IndexOf('(', StringComparison.Ordinal);
        string[] wanted = open < 0 ? [] : section[(open + 1)..].TrimEnd(')').Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var fields = new StringBuilder();
        bool take = false;
        foreach (string line in header.Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
        {
            if (line[0] is not (' ' or '\t'))
            {
                take = wanted.Contains(line.Split(':')[0].Trim('"').ToUpperInvariant()) != exclude;
            }

            if (take)
            {
                fields.Append(line).Append("\r\n");
            }
        }

        return fields.Append("\r\n").ToString();
    }

    private static List<(string Name, string Value)> Headers(string header)
    {
        var headers = new List<(string Name, string Value)>();
        foreach (string line in header.Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (line[0] is ' ' or '\t')
            {
                if (headers.Count > 0)
                {
                    headers[^1] = (headers[^1].Name, headers[^1].Value + line);
                }
            }
            else if (colon > 0)
            {
                headers.Add((line[..colon], line[(colon + 1)..].Trim()));
            }
        }

        return headers;
    }

    private static string AddressList(string value)
    {
        IEnumerable<string> addresses = value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(Address);
        string list = string.Concat(addresses);
        return list.Length > 0 ? $"({list})" : "NIL";
    }

    private static string Address(string text)
    {
        int open = text.IndexOf('<', StringComparison.Ordinal);
        string name = open > 0 ? text[..open].Trim().Trim('"') : "";
        string mail = open >= 0 ? text[(open + 1)..].TrimEnd('>') : text;
        int at = mail.LastIndexOf('@');
        string mailbox = at < 0 ? mail : mail[..at];
        string host = at < 0 ? "" : mail[(at + 1)..];
        return $"({(name.Length > 0 ? String(name) : "NIL")} NIL {String(mailbox)} {String(host)})";
    }
}
