namespace Postern.Protocol;

/// <summary>What an upstream's reply means for the login dialogue.</summary>
public enum UpstreamOutcome
{
    /// <summary>No complete reply yet: at least four bytes that end with CRLF.</summary>
    NeedMore,

    /// <summary>The reply this step waits for.</summary>
    Accepted,

    /// <summary>Any other reply.</summary>
    Refused,
}

/// <summary>A classified reply of an upstream.</summary>
/// <param name="Outcome">What it means.</param>
/// <param name="LogText">
/// For <c>upstream sent invalid response: "…"</c>: all lines but the last CRLF. Foreign bytes, with line ends among them: escape them.
/// </param>
public readonly record struct UpstreamReply(UpstreamOutcome Outcome, ByteRange LogText)
{
    private const int MinReplyBytes = 4;

    /// <summary>Whether what is buffered can be a whole reply.</summary>
    internal static bool IsComplete(ReadOnlySpan<byte> buffered) => buffered.Length >= MinReplyBytes && buffered.EndsWith("\r\n"u8);

    /// <summary>What begins at <paramref name="start"/>, without the line ends at its end.</summary>
    internal static ByteRange TextFrom(ReadOnlySpan<byte> buffered, int start) => new(start, buffered[start..].TrimEnd("\r\n"u8).Length);

    /// <summary>Accepts a complete reply that begins with these bytes; case counts.</summary>
    internal static UpstreamReply Expect(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> buffered)
    {
        if (!IsComplete(buffered))
        {
            return default;
        }

        UpstreamOutcome outcome = buffered.StartsWith(prefix) ? UpstreamOutcome.Accepted : UpstreamOutcome.Refused;
        return new UpstreamReply(outcome, TextFrom(buffered, 0));
    }
}
