namespace Postern.Protocol.Tests;

/// <summary>
/// Plays bytes through a command line parser and tells what came out: <c>User[name]</c> for a command, <c>bad</c>, <c>http</c>,
/// <c>TooLong</c>; a trailing <c>…</c> when a command is unfinished.
/// </summary>
internal static class CommandLineTranscript
{
    public const int DefaultCapacity = 512;

    public static string Play<TCommand>(byte[] input, IReadOnlyList<int> growth, CommandLineParser<TCommand> parser)
        where TCommand : struct, Enum
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
                CommandLine<TCommand> line = parser.Parse(buffer);
                isPartial = line.Status == CommandLineStatus.NeedMore;
                if (isPartial)
                {
                    continue;
                }

                events.Add(Describe(line, parser, buffer));
                if (line.Status is CommandLineStatus.HttpRequest or CommandLineStatus.TooLong)
                {
                    return string.Join(" | ", events);
                }

                start += line.Consumed;
                parser.Reset();
            }
        }

        if (isPartial)
        {
            events.Add("…");
        }

        return string.Join(" | ", events);
    }

    private static string Describe<TCommand>(CommandLine<TCommand> line, CommandLineParser<TCommand> parser, byte[] buffer)
        where TCommand : struct, Enum => line.Status switch
        {
            CommandLineStatus.Complete => line.Command + string.Concat(
                Enumerable.Range(0, parser.ArgumentCount).Select(i => $"[{Fragments.Text(parser.Argument(i).In(buffer))}]")),
            CommandLineStatus.Invalid => "bad",
            CommandLineStatus.HttpRequest => "http",
            _ => "TooLong",
        };
}
