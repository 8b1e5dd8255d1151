namespace Postern.Protocol.Imap;

/// <summary>What an upstream's reply means for the login dialogue.</summary>
public enum ImapUpstreamOutcome
{
    /// <summary>No complete reply yet: at least four bytes that end with CRLF.</summary>
    NeedMore,

    /// <summary>The reply this step waits for.</summary>
    Accepted,

    /// <summary>Any other reply.</summary>
    Refused,

    /// <summary>More than one untagged line before the tagged one.</summary>
    TooManyUntagged,
}

/// <summary>A classified reply.</summary>
/// <param name="Outcome">What it means.</param>
/// <param name="LogText">
/// For <c>upstream sent invalid response: "…"</c>: one line without CRLF, behind the tag if it carried ours. Foreign bytes: escape them.
/// </param>
public readonly record struct ImapUpstreamResult(ImapUpstreamOutcome Outcome, ByteRange LogText);

/// <summary>
/// Classifies what an IMAP upstream answered in the login dialogue, given everything buffered in the current step. Comparison is
/// case-sensitive; after each step the caller drops the buffer, surplus lines included.
/// </summary>
public static class ImapUpstreamReply
{
    private const int MinReplyBytes = 4;

    /// <summary>The greeting: <c>* OK</c>. PREAUTH and BYE are refusals.</summary>
    public static ImapUpstreamResult Greeting(ReadOnlySpan<byte> buffered) => Expect("* OK"u8, buffered);

    /// <summary>A continuation, <c>+</c>; the four bytes <c>+ CRLF</c> suffice.</summary>
    public static ImapUpstreamResult Continuation(ReadOnlySpan<byte> buffered) => Expect("+"u8, buffered);

    /// <summary>
    /// The answer to the complete LOGIN: <c>TAG OK</c>, with at most one untagged line before it (a CAPABILITY, say). When accepted,
    /// everything buffered belongs to the client.
    /// </summary>
    /// <param name="buffered">All bytes received since the command was sent.</param>
    /// <param name="tag">The tag it was sent with.</param>
    public static ImapUpstreamResult Login(ReadOnlySpan<byte> buffered, ReadOnlySpan<byte> tag)
    {
        if (!IsComplete(buffered))
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
        if (start > 0 && line.StartsWith("* "u8))
        {
            return new ImapUpstreamResult(ImapUpstreamOutcome.TooManyUntagged, FirstLine(buffered, start));
        }

        bool isOurs = line.StartsWith(tag) && line.Length > tag.Length && line[tag.Length] == (byte)' ';
        ByteRange logText = FirstLine(buffered, isOurs ? start + tag.Length + 1 : start);
        bool isOk = isOurs && line[(tag.Length + 1)..].StartsWith("OK"u8);
        return new ImapUpstreamResult(isOk ? ImapUpstreamOutcome.Accepted : ImapUpstreamOutcome.Refused, logText);
    }

    private static ImapUpstreamResult Expect(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> buffered)
    {
        if (!IsComplete(buffered))
        {
            return default;
        }

        ImapUpstreamOutcome outcome = buffered.StartsWith(prefix) ? ImapUpstreamOutcome.Accepted : ImapUpstreamOutcome.Refused;
        return new ImapUpstreamResult(outcome, FirstLine(buffered, 0));
    }

    private static bool IsComplete(ReadOnlySpan<byte> buffered) => buffered.Length >= MinReplyBytes && buffered.EndsWith("\r\n"u8);

    private static ByteRange FirstLine(ReadOnlySpan<byte> buffered, int start) => new(start, buffered[start..].IndexOf("\r\n"u8));
}
