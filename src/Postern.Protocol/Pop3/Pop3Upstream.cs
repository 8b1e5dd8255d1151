using System.Buffers;

namespace Postern.Protocol.Pop3;

/// <summary>
/// The login dialogue with a POP3 upstream: USER and PASS, whatever the client used, each answered by <c>+OK</c>.
/// </summary>
public static class Pop3Upstream
{
    private static readonly SearchValues<byte> _unspeakable = SearchValues.Create("\0\r\n"u8);

    /// <summary>Classifies a reply, given everything buffered in the current step.</summary>
    public static UpstreamReply Reply(ReadOnlySpan<byte> buffered) => UpstreamReply.Expect("+OK"u8, buffered);

    /// <summary>
    /// Whether a login or password can be told to an upstream. CR and LF, which a client can send inside base64, would begin another
    /// command; nginx writes them.
    /// </summary>
    public static bool CanCarry(ReadOnlySpan<byte> text) => !text.ContainsAny(_unspeakable);

    /// <summary><c>USER login</c> or <c>PASS password</c>.</summary>
    /// <param name="verb">The verb and its space.</param>
    /// <param name="argument">Text that <see cref="CanCarry"/>.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteCommand(ReadOnlySpan<byte> verb, ReadOnlySpan<byte> argument, IBufferWriter<byte> destination)
    {
        destination.Write(verb);
        destination.Write(argument);
        destination.Write("\r\n"u8);
    }
}
