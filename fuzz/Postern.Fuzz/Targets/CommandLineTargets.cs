using Postern.Protocol;
using Postern.Protocol.Pop3;
using Postern.Protocol.Smtp;

namespace Postern.Fuzz.Targets;

/// <summary>POP3 commands before login.</summary>
internal sealed class Pop3Target : IFuzzTarget
{
    public string Name => "pop3";

    public IReadOnlyList<string> Dictionary => ["USER ", "PASS ", "APOP ", "AUTH ", "CAPA\r\n", "STLS\r\n", "QUIT", "\r\n", "\n", " ", "POST / HTTP/1.0\r\n"];

    public void Run(ReadOnlySpan<byte> input) => CommandLines.Check(static () => new Pop3CommandParser(CommandLines.Capacity), input);
}

/// <summary>SMTP commands before login.</summary>
internal sealed class SmtpTarget : IFuzzTarget
{
    public string Name => "smtp";

    public IReadOnlyList<string> Dictionary =>
        ["EHLO ", "HELO ", "AUTH PLAIN ", "MAIL FROM:<", "RCPT TO:<", "STARTTLS\r\n", "RSET\r\n", "DATA\r\n", ">", "\r\n", "\n", " ", "PUT / HTTP/2\r\n"];

    public void Run(ReadOnlySpan<byte> input) => CommandLines.Check(static () => new SmtpCommandParser(CommandLines.Capacity), input);
}

/// <summary>What both have in common: the same commands however the bytes are split; no argument has a line end in it.</summary>
internal static class CommandLines
{
    public const int Capacity = 128;

    public static void Check<TCommand>(Func<CommandLineParser<TCommand>> create, ReadOnlySpan<byte> input)
        where TCommand : struct, Enum =>
        Oracle.Holds(Play(create(), input, input.Length).SequenceEqual(Play(create(), input, 1)), "the outcome depends on the fragmentation");

    private static List<CommandLine<TCommand>> Play<TCommand>(CommandLineParser<TCommand> parser, ReadOnlySpan<byte> input, int chunk)
        where TCommand : struct, Enum
    {
        List<CommandLine<TCommand>> results = [];
        int start = 0;
        int end = Math.Min(chunk, input.Length);
        while (true)
        {
            ReadOnlySpan<byte> buffer = input[start..end];
            CommandLine<TCommand> line = parser.Parse(buffer);
            if (line.Status == CommandLineStatus.NeedMore)
            {
                if (end == input.Length)
                {
                    return results;
                }

                end = Math.Min(end + chunk, input.Length);
                continue;
            }

            results.Add(line);
            Oracle.Holds(parser.Verb.In(buffer).Length <= "STARTTLS".Length, "a verb for the log that is no command's");
            if (line.Status is CommandLineStatus.TooLong or CommandLineStatus.HttpRequest)
            {
                return results;
            }

            Oracle.Holds(line.Consumed is > 0 and <= Capacity, "a command without bytes, or beyond its capacity");
            if (line.Status == CommandLineStatus.Complete)
            {
                Oracle.Holds(!parser.Text.In(buffer).ContainsAny((byte)'\r', (byte)'\n'), "a line end in a command");
                for (int i = 0; i < parser.ArgumentCount; i++)
                {
                    Oracle.Holds(!parser.Argument(i).In(buffer).ContainsAny((byte)'\r', (byte)'\n'), "a line end in an argument");
                }
            }

            start += line.Consumed;
            parser.Reset();
        }
    }
}
