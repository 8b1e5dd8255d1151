using System.Buffers;
using Postern.Protocol;
using Postern.Protocol.Imap;

namespace Postern.Fuzz.Targets;

/// <summary>IMAP commands before login. The same commands come out however the bytes are split, and replies are one clean line.</summary>
internal sealed class ImapTarget : IFuzzTarget
{
    private const int Capacity = 128;

    public string Name => "imap";

    public IReadOnlyList<string> Dictionary =>
        ["a LOGIN ", "AUTHENTICATE ", "CAPABILITY\r\n", "{3}\r\n", "{3+}\r\n", "{99999999999}", "\"", "\\", "\r\n", " HTTP/1.1\r\n", "GET /", "STARTTLS\r\n"];

    public void Run(ReadOnlySpan<byte> input)
    {
        List<(ImapParseStatus, int)> whole = Play(input, input.Length);
        List<(ImapParseStatus, int)> bytes = Play(input, 1);
        Oracle.Holds(whole.SequenceEqual(bytes), "the outcome depends on the fragmentation");
    }

    /// <returns>What came out, and where it ended.</returns>
    private static List<(ImapParseStatus, int)> Play(ReadOnlySpan<byte> input, int chunk)
    {
        List<(ImapParseStatus, int)> results = [];
        var parser = new ImapCommandParser(Capacity);
        int start = 0;
        int end = Math.Min(chunk, input.Length);
        while (true)
        {
            ReadOnlySpan<byte> buffer = input[start..end];
            ImapParse parse = parser.Parse(buffer);
            if (parse.Status == ImapParseStatus.NeedMore)
            {
                if (end == input.Length)
                {
                    return results;
                }

                end = Math.Min(end + chunk, input.Length);
                continue;
            }

            results.Add((parse.Status, start + parse.Consumed));
            CheckTag(parse.Tag.In(buffer));
            Oracle.Holds(parser.Verb.In(buffer).Length <= "AUTHENTICATE".Length, "a verb for the log that is no command's");
            switch (parse.Status)
            {
                case ImapParseStatus.Continue:
                    continue;
                case ImapParseStatus.TooLong or ImapParseStatus.InvalidClose:
                    return results;
                case ImapParseStatus.Complete:
                    CheckArguments(parser, buffer[..parse.Consumed]);
                    break;
                default:
                    break;
            }

            Oracle.Holds(parse.Consumed > 0 && parse.Consumed <= Capacity, "a command without bytes, or beyond its capacity");
            start += parse.Consumed;
            parser.Reset();
        }
    }

    private static void CheckTag(ReadOnlySpan<byte> tag)
    {
        var reply = new ArrayBufferWriter<byte>();
        ImapReplies.WriteInvalidCommand(tag, reply);
        Oracle.Holds(reply.WrittenSpan.IndexOfAnyExceptInRange((byte)' ', (byte)'~') == reply.WrittenCount - 2, "the reply is not one printable line");
    }

    private static void CheckArguments(ImapCommandParser parser, ReadOnlySpan<byte> command)
    {
        for (int i = 0; i < parser.ArgumentCount; i++)
        {
            ByteRange range = parser.Argument(i).Range;
            byte[] value = new byte[range.Length];
            Oracle.Holds(parser.CopyArgument(i, command, value) <= range.Length, "an argument grew");
        }
    }
}
