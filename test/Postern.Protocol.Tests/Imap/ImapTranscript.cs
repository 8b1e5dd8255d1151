using Postern.Protocol.Imap;

namespace Postern.Protocol.Tests.Imap;

/// <summary>
/// Plays bytes through the command parser and tells what came out: <c>+</c> for a continuation, <c>a Login[u][p]</c> for a command,
/// <c>a BAD</c>, <c>a BAD close</c>, <c>a TooLong</c>; <c>*</c> without a tag; a trailing <c>…</c> when a command is unfinished.
/// </summary>
internal static class ImapTranscript
{
    public const int DefaultCapacity = 4096;

    public static string Play(byte[] input, IReadOnlyList<int> growth) => Play(input, growth, new ImapCommandParser(DefaultCapacity));

    public static string Play(byte[] input, IReadOnlyList<int> growth, ImapCommandParser parser)
    {
        List<string> events = [];
        int start = 0;
        bool isPartial = false;
        foreach (int length in growth)
        {
            isPartial = false;
            while (start < length && !isPartial)
            {
                // A fresh array of exactly the received bytes: the parser must not rely on the old one or on what lies behind.
                byte[] buffer = input[start..length];
                ImapParse parse = parser.Parse(buffer);
                isPartial = parse.Status == ImapParseStatus.NeedMore;
                if (!isPartial)
                {
                    events.Add(Describe(parse, parser, buffer));
                }

                if (parse.Status is ImapParseStatus.InvalidClose or ImapParseStatus.TooLong)
                {
                    return string.Join(" | ", events);
                }

                if (parse.Status is ImapParseStatus.Complete or ImapParseStatus.Invalid)
                {
                    start += parse.Consumed;
                    parser.Reset();
                }
                else if (parse.Status == ImapParseStatus.Continue && start == length)
                {
                    isPartial = true;
                }
            }
        }

        if (isPartial)
        {
            events.Add("…");
        }

        return string.Join(" | ", events);
    }

    private static string Describe(ImapParse parse, ImapCommandParser parser, byte[] buffer)
    {
        string tag = parse.TagKnown ? Fragments.Text(parse.Tag.In(buffer)) : "*";
        return parse.Status switch
        {
            ImapParseStatus.Continue => "+",
            ImapParseStatus.Complete => $"{tag} {parse.Command}{string.Concat(Arguments(parser, buffer))}",
            ImapParseStatus.Invalid => $"{tag} BAD",
            ImapParseStatus.InvalidClose => $"{tag} BAD close",
            _ => $"{tag} TooLong",
        };
    }

    private static IEnumerable<string> Arguments(ImapCommandParser parser, byte[] buffer)
    {
        for (int i = 0; i < parser.ArgumentCount; i++)
        {
            byte[] value = new byte[parser.Argument(i).Range.Length];
            int length = parser.CopyArgument(i, buffer, value);
            yield return $"[{Fragments.Text(value.AsSpan(0, length))}]";
        }
    }
}
