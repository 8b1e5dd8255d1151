namespace Postern.Protocol.Imap;

/// <summary>
/// Classifies what an IMAP upstream answered in the login dialogue, given everything buffered in the current step. Comparison is
/// case-sensitive; after each step the caller drops the buffer, surplus lines included.
/// </summary>
public static class ImapUpstreamReply
{
    /// <summary>The greeting: <c>* OK</c>. PREAUTH and BYE are refusals.</summary>
    public static UpstreamReply Greeting(ReadOnlySpan<byte> buffered) => UpstreamReply.Expect("* OK"u8, buffered);

    /// <summary>A continuation, <c>+</c>; the four bytes <c>+ CRLF</c> suffice.</summary>
    public static UpstreamReply Continuation(ReadOnlySpan<byte> buffered) => UpstreamReply.Expect("+"u8, buffered);

    /// <summary>
    /// The answer to the complete LOGIN: <c>TAG OK</c>, with at most one untagged line before it (a CAPABILITY, say). When accepted,
    /// everything buffered belongs to the client. The log text stands behind the tag if the line carried ours.
    /// </summary>
    /// <param name="buffered">All bytes received since the command was sent.</param>
    /// <param name="tag">The tag it was sent with.</param>
    public static UpstreamReply Login(ReadOnlySpan<byte> buffered, ReadOnlySpan<byte> tag)
    {
        if (!UpstreamReply.IsComplete(buffered))
        {
            return default;
        }

        int start = 0;
        if (buffered.StartsWith("* "u8))
        {
            start = buffered.IndexOf("\r\n"u8) + 2;
            if (start == buffered.Length)
            {
                return default;
            }
        }

        ReadOnlySpan<byte> line = buffered[start..];
        bool isOurs = line.StartsWith(tag) && line.Length > tag.Length && line[tag.Length] == (byte)' ';
        ByteRange logText = UpstreamReply.TextFrom(buffered, isOurs ? start + tag.Length + 1 : start);
        bool isOk = isOurs && line[(tag.Length + 1)..].StartsWith("OK"u8);
        return new UpstreamReply(isOk ? UpstreamOutcome.Accepted : UpstreamOutcome.Refused, logText);
    }
}
