using System.Globalization;
using System.Text;

namespace Postern.Demo;

/// <summary>Answers of FETCH (RFC 3501 section 7.4.2) for the items mail clients ask for first.</summary>
internal static class DemoImapFetch
{
    /// <summary>One untagged FETCH response.</summary>
    /// <param name="number">Sequence number.</param>
    /// <param name="message">The message.</param>
    /// <param name="items">What was asked for; macros are expanded.</param>
    public static byte[] Respond(int number, DemoMessage message, IEnumerable<string> items)
    {
        using var response = new MemoryStream();
        Write(response, string.Create(CultureInfo.InvariantCulture, $"* {number} FETCH ("));
        string separator = "";
        foreach (string item in items.SelectMany(Expand))
        {
            Write(response, separator);
            WriteItem(response, message, item);
            separator = " ";
        }

        Write(response, ")\r\n");
        return response.ToArray();
    }

    private static string[] Expand(string item) => item.ToUpperInvariant() switch
    {
        "ALL" => ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
        "FAST" => ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
        "FULL" => ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
        _ => [item],
    };

    private static void WriteItem(MemoryStream response, DemoMessage message, string item)
    {
        string upper = item.ToUpperInvariant();
        switch (upper)
        {
            case "UID":
                Write(response, string.Create(CultureInfo.InvariantCulture, $"UID {message.Uid}"));
                break;
            case "FLAGS":
                Write(response, $"FLAGS ({string.Join(' ', message.Flags)})");
                break;
            case "INTERNALDATE":
                Write(response, $"INTERNALDATE \"{message.Received.ToString("dd-MMM-yyyy HH:mm:ss +0000", CultureInfo.InvariantCulture)}\"");
                break;
            case "RFC822.SIZE":
                Write(response, string.Create(CultureInfo.InvariantCulture, $"RFC822.SIZE {message.Content.Length}"));
                break;
            case "ENVELOPE":
                Write(response, "ENVELOPE " + Envelope(message));
                break;
            case "BODY" or "BODYSTRUCTURE":
                Write(response, upper + " " + Structure(message));
                break;
            case "RFC822" or "RFC822.HEADER" or "RFC822.TEXT":
                WriteSection(response, message, upper, upper.Length > 7 ? upper[7..] : "", item);
                break;
            default:
                int open = item.IndexOf('[', StringComparison.Ordinal);
                int close = item.LastIndexOf(']');
                string section = open < 0 || close < open ? "" : item[(open + 1)..close];
                WriteSection(response, message, "BODY[" + section.ToUpperInvariant() + "]", section.ToUpperInvariant(), close < 0 ? "" : item[(close + 1)..]);
                break;
        }
    }

    private static void WriteSection(MemoryStream response, DemoMessage message, string name, string section, string partial)
    {
        byte[] data = Section(message, section);
        if (partial.StartsWith('<') && partial.TrimStart('<').TrimEnd('>').Split('.') is [var from, var count])
        {
            int start = Math.Min(data.Length, int.Parse(from, CultureInfo.InvariantCulture));
            int length = Math.Min(data.Length - start, int.Parse(count, CultureInfo.InvariantCulture));
            data = data[start..(start + length)];
            name += "<" + from + ">";
        }

        if (!name.Contains("PEEK", StringComparison.Ordinal))
        {
            message.Flags.Add("\\Seen");
        }

        Write(response, string.Create(CultureInfo.InvariantCulture, $"{name} {{{data.Length}}}\r\n"));
        response.Write(data);
    }

    private static byte[] Section(DemoMessage message, string section)
    {
        byte[] content = message.Content;
        int end = HeaderEnd(content);
        if (section.StartsWith("HEADER.FIELDS", StringComparison.Ordinal))
        {
            int open = section.IndexOf('(', StringComparison.Ordinal);
            string[] names = section[(open + 1)..].TrimEnd(')', ' ').Split(' ');
            bool not = section.StartsWith("HEADER.FIELDS.NOT", StringComparison.Ordinal);
            return Encoding.Latin1.GetBytes(
                string.Concat(HeaderLines(content[..end]).Where(line => names.Contains(FieldName(line)) != not)) + "\r\n");
        }

        return section switch
        {
            "" => content,
            "HEADER" => content[..end],
            "TEXT" or "1" => content[end..],
            "MIME" or "1.MIME" => "Content-Type: text/plain; charset=utf-8\r\n\r\n"u8.ToArray(),
            _ => [],
        };
    }

    private static int HeaderEnd(byte[] content)
    {
        int blank = content.AsSpan().IndexOf("\r\n\r\n"u8);
        return blank < 0 ? content.Length : blank + 4;
    }

    private static IEnumerable<string> HeaderLines(byte[] header)
    {
        string? folded = null;
        foreach (string line in Encoding.Latin1.GetString(header).Split("\r\n"))
        {
            if (line.StartsWith(' ') || line.StartsWith('\t'))
            {
                folded += line + "\r\n";
                continue;
            }

            if (folded is not null)
            {
                yield return folded;
            }

            folded = line.Length > 0 ? line + "\r\n" : null;
        }

        if (folded is not null)
        {
            yield return folded;
        }
    }

    private static string FieldName(string line) => line[..Math.Max(0, line.IndexOf(':', StringComparison.Ordinal))].ToUpperInvariant();

    private static string Envelope(DemoMessage message)
    {
        List<string> lines = [.. HeaderLines(message.Content[..HeaderEnd(message.Content)])];
        string from = Address(Field(lines, "FROM"));
        return $"({Quote(Field(lines, "DATE"))} {Quote(Field(lines, "SUBJECT"))} {from} {from} {from} "
            + $"{Address(Field(lines, "TO"))} NIL NIL {Quote(Field(lines, "IN-REPLY-TO"))} {Quote(Field(lines, "MESSAGE-ID"))})";
    }

    private static string? Field(List<string> lines, string name) =>
        lines.Find(line => FieldName(line) == name) is { } line ? line[(name.Length + 1)..].Replace("\r\n", "", StringComparison.Ordinal).Trim() : null;

    private static string Address(string? field)
    {
        if (field is null)
        {
            return "NIL";
        }

        int open = field.IndexOf('<', StringComparison.Ordinal);
        string? name = open > 0 ? field[..open].Trim().Trim('"') : null;
        string[] address = (open < 0 ? field : field[(open + 1)..].TrimEnd('>')).Split('@');
        return $"(({Quote(name)} NIL {Quote(address[0])} {Quote(address.Length > 1 ? address[1] : "")}))";
    }

    private static string Structure(DemoMessage message)
    {
        byte[] body = message.Content[HeaderEnd(message.Content)..];
        return string.Create(
            CultureInfo.InvariantCulture,
            $"(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"8BIT\" {body.Length} {body.AsSpan().Count((byte)'\n')})");
    }

    private static string Quote(string? text) => text is null
        ? "NIL"
        : "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";

    private static void Write(MemoryStream response, string text) => response.Write(Encoding.Latin1.GetBytes(text));
}
