using System.Globalization;
using Postern.Demo.Mail;

namespace Postern.Demo.Imap;

/// <summary>The commands of the selected state.</summary>
internal sealed partial class ImapSession
{
    private string InMailbox(string name, IReadOnlyList<ImapValue> arguments, bool byUid)
    {
        if (_mailbox is null)
        {
            return "BAD select a mailbox first";
        }

        switch (name)
        {
            case "FETCH":
                return Fetch(arguments, byUid);
            case "STORE":
                return Store(arguments, byUid);
            case "SEARCH":
                return Search(arguments, byUid);
            case "EXPUNGE":
                if (!_readOnly)
                {
                    _mailbox.Expunge();
                }

                return _readOnly ? "NO read-only" : "OK done";
            case "CLOSE":
                if (!_readOnly)
                {
                    _mailbox.Expunge();
                }

                _mailbox = null;
                return "OK closed";
            case "UNSELECT":
                _mailbox = null;
                return "OK closed";
            default:
                return "BAD unknown command";
        }
    }

    private string Fetch(IReadOnlyList<ImapValue> arguments, bool byUid)
    {
        if (arguments.Count < 2)
        {
            throw new FormatException("FETCH needs a set and items");
        }

        List<string> items = [.. arguments[1].Each.SelectMany(item => Expand(item.Text))];
        if (byUid && !items.Contains("UID", StringComparer.OrdinalIgnoreCase))
        {
            items.Insert(0, "UID");
        }

        foreach ((int number, DemoMessage message) in MessageSet.Select(arguments[0].Text, _view, byUid))
        {
            bool wasSeen = message.Flags.Contains(@"\Seen");
            List<string> values = [.. items.Select(item => Item(item, message))];
            if (!wasSeen && message.Flags.Contains(@"\Seen") && !items.Contains("FLAGS", StringComparer.OrdinalIgnoreCase))
            {
                values.Add(Item("FLAGS", message));
            }

            Line($"* {number} FETCH ({string.Join(' ', values)})");
        }

        return "OK done";
    }

    private static string[] Expand(string item) => item.ToUpperInvariant() switch
    {
        "FAST" => ["FLAGS", "INTERNALDATE", "RFC822.SIZE"],
        "ALL" => ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"],
        "FULL" => ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"],
        _ => [item],
    };

    private string Item(string item, DemoMessage message)
    {
        string name = item.ToUpperInvariant();
        switch (name)
        {
            case "FLAGS":
                return $"FLAGS ({string.Join(' ', message.Flags)})";
            case "UID":
                return $"UID {message.Uid}";
            case "RFC822.SIZE":
                return $"RFC822.SIZE {message.Content.Length}";
            case "INTERNALDATE":
                return $"INTERNALDATE {MessageParts.InternalDate(message)}";
            case "ENVELOPE":
                return $"ENVELOPE {MessageParts.Envelope(message)}";
            case "BODY":
                return $"BODY {MessageParts.BodyStructure(message, extended: false)}";
            case "BODYSTRUCTURE":
                return $"BODYSTRUCTURE {MessageParts.BodyStructure(message, extended: true)}";
            case "RFC822.HEADER":
                return $"RFC822.HEADER {MessageParts.Literal(MessageParts.Section(message, "HEADER"))}";
            case "RFC822" or "RFC822.TEXT":
                MarkSeen(message);
                return $"{name} {MessageParts.Literal(MessageParts.Section(message, name == "RFC822" ? "" : "TEXT"))}";
        }

        if (!name.StartsWith("BODY[", StringComparison.Ordinal) && !name.StartsWith("BODY.PEEK[", StringComparison.Ordinal))
        {
            throw new FormatException("unknown item");
        }

        if (name.StartsWith("BODY[", StringComparison.Ordinal))
        {
            MarkSeen(message);
        }

        int open = name.IndexOf('[', StringComparison.Ordinal);
        int close = name.IndexOf(']', StringComparison.Ordinal);
        string section = name[(open + 1)..close];
        (string bytes, string origin) = Partial(MessageParts.Section(message, section), name[(close + 1)..]);
        return $"BODY[{section}]{origin} {MessageParts.Literal(bytes)}";
    }

    /// <summary>The part <c>&lt;offset.count&gt;</c> asks for, and the origin the answer shows.</summary>
    private static (string Bytes, string Origin) Partial(string bytes, string partial)
    {
        if (partial.Length == 0)
        {
            return (bytes, "");
        }

        int[] numbers = [.. partial.Trim('<', '>').Split('.').Select(number => int.Parse(number, NumberStyles.None, CultureInfo.InvariantCulture))];
        int offset = Math.Min(numbers[0], bytes.Length);
        int count = Math.Min(numbers[^1], bytes.Length - offset);
        return (bytes.Substring(offset, count), $"<{numbers[0]}>");
    }

    private void MarkSeen(DemoMessage message)
    {
        if (!_readOnly && !message.Flags.Contains(@"\Seen"))
        {
            message.Flags = [.. message.Flags, @"\Seen"];
        }
    }

    private string Store(IReadOnlyList<ImapValue> arguments, bool byUid)
    {
        if (_readOnly)
        {
            return "NO read-only";
        }

        if (arguments.Count < 3)
        {
            throw new FormatException("STORE needs a set, an action and flags");
        }

        string action = arguments[1].Text.ToUpperInvariant();
        List<string> flags = [.. arguments.Skip(2).SelectMany(value => value.Each).Select(value => value.Text)];
        foreach ((int number, DemoMessage message) in MessageSet.Select(arguments[0].Text, _view, byUid))
        {
            message.Flags = action[0] switch
            {
                '+' => [.. message.Flags.Union(flags)],
                '-' => [.. message.Flags.Except(flags)],
                _ => flags,
            };
            if (!action.EndsWith(".SILENT", StringComparison.Ordinal))
            {
                Line($"* {number} FETCH ({(byUid ? $"UID {message.Uid} " : "")}FLAGS ({string.Join(' ', message.Flags)}))");
            }
        }

        return "OK done";
    }

    /// <summary>Knows flags and sets; of other keys every message fits.</summary>
    private string Search(IReadOnlyList<ImapValue> arguments, bool byUid)
    {
        IEnumerable<(int Number, DemoMessage Message)> found = _view.Select((message, i) => (i + 1, message));
        for (int i = 0; i < arguments.Count; i++)
        {
            string key = arguments[i].Text.ToUpperInvariant();
            string? flag = key switch
            {
                "SEEN" or "UNSEEN" => @"\Seen",
                "DELETED" or "UNDELETED" => @"\Deleted",
                "FLAGGED" or "UNFLAGGED" => @"\Flagged",
                "ANSWERED" or "UNANSWERED" => @"\Answered",
                _ => null,
            };
            if (flag is not null)
            {
                bool has = !key.StartsWith("UN", StringComparison.Ordinal);
                found = found.Where(entry => entry.Message.Flags.Contains(flag) == has);
            }
            else if (key == "UID" && i + 1 < arguments.Count)
            {
                HashSet<uint> uids = [.. MessageSet.Select(arguments[++i].Text, _view, byUid: true).Select(entry => entry.Message.Uid)];
                found = found.Where(entry => uids.Contains(entry.Message.Uid));
            }
        }

        Line("* SEARCH" + string.Concat(found.Select(entry => $" {(byUid ? entry.Message.Uid : (uint)entry.Number)}")));
        return "OK done";
    }
}
