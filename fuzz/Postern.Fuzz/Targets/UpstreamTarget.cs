using Postern.Protocol;
using Postern.Protocol.Imap;
using Postern.Protocol.Pop3;
using Postern.Protocol.Smtp;

namespace Postern.Fuzz.Targets;

/// <summary>What backends answer in a login dialogue, judged by each protocol.</summary>
internal sealed class UpstreamTarget : IFuzzTarget
{
    public string Name => "upstream";

    public IReadOnlyList<string> Dictionary => ["* OK ", "* BYE", "* ", "+ ", "+OK", "-ERR", "a OK ", "a NO ", "220 ", "250-", "250 ", "\r\n", "\n", "\r"];

    public void Run(ReadOnlySpan<byte> input)
    {
        Check(ImapUpstreamReply.Greeting(input), input);
        Check(ImapUpstreamReply.Continuation(input), input);
        UpstreamReply login = ImapUpstreamReply.Login(input, "a"u8);
        Check(login, input);
        Oracle.Holds(
            login.Outcome != UpstreamOutcome.Accepted || input.StartsWith("a OK"u8) || (input.StartsWith("* "u8) && input.IndexOf("\r\na OK"u8) > 0),
            "a login without our OK");
        Check(Pop3Upstream.Reply(input), input);
        Check(SmtpUpstream.Reply(input, "250"u8), input);
        Check(SmtpUpstream.Reply(input, default), input);
    }

    private static void Check(UpstreamReply reply, ReadOnlySpan<byte> input)
    {
        Oracle.Holds(reply.Outcome == UpstreamOutcome.NeedMore || input.EndsWith("\r\n"u8), "judged before the end of a line");
        Oracle.Holds(!reply.LogText.In(input).EndsWith("\n"u8), "a line end at the end of the text for the log");
    }
}
