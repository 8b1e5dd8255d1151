using System.Buffers;
using Postern.Protocol.Sasl;

namespace Postern.Protocol.Smtp;

/// <summary>The login dialogue with an SMTP upstream.</summary>
public static class SmtpUpstream
{
    private const int CodeBytes = 3;

    /// <summary>
    /// Classifies a reply, given everything buffered in the current step. It is complete when its last line is the last of a multi-line
    /// reply (RFC 5321 section 4.2.1); the code of its first line counts.
    /// </summary>
    /// <param name="buffered">All bytes received since the command was sent.</param>
    /// <param name="code">The code hoped for; empty: any will do.</param>
    /// <param name="otherCode">Another one that will do; empty: none.</param>
    public static UpstreamReply Reply(ReadOnlySpan<byte> buffered, ReadOnlySpan<byte> code, ReadOnlySpan<byte> otherCode = default)
    {
        if (!UpstreamReply.IsComplete(buffered) || (buffered[CodeBytes] == (byte)'-' && IsContinued(LastLine(buffered))))
        {
            return default;
        }

        ReadOnlySpan<byte> first = buffered[..CodeBytes];
        bool accepted = code.IsEmpty || first.SequenceEqual(code) || first.SequenceEqual(otherCode);
        return new UpstreamReply(accepted ? UpstreamOutcome.Accepted : UpstreamOutcome.Refused, UpstreamReply.TextFrom(buffered, 0));
    }

    /// <summary><c>EHLO name</c> or <c>HELO name</c>.</summary>
    public static void WriteHelo(bool extended, ReadOnlySpan<byte> name, IBufferWriter<byte> destination)
    {
        destination.Write(extended ? "EHLO "u8 : "HELO "u8);
        destination.Write(name);
        destination.Write("\r\n"u8);
    }

    /// <summary><c>XCLIENT ADDR=A[ LOGIN=L] NAME=H</c>: who the client is, for a Postfix that trusts us.</summary>
    /// <param name="address">As in <c>client:</c> of log lines; of IPv6 the prefix is added here.</param>
    /// <param name="isIPv6">An IPv6 address, mapped ones included.</param>
    /// <param name="login">Any bytes, written as xtext; empty = left out.</param>
    /// <param name="name">Resolved host name or <c>[UNAVAILABLE]</c>, <c>[TEMPUNAVAIL]</c>: letters, digits, hyphen, dot, brackets.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteXClient(
        ReadOnlySpan<byte> address, bool isIPv6, ReadOnlySpan<byte> login, ReadOnlySpan<byte> name, IBufferWriter<byte> destination)
    {
        destination.Write(isIPv6 ? "XCLIENT ADDR=IPV6:"u8 : "XCLIENT ADDR="u8);
        destination.Write(address);
        if (!login.IsEmpty)
        {
            destination.Write(" LOGIN="u8);
            Escaping.WriteXtext(login, destination);
        }

        destination.Write(" NAME="u8);
        destination.Write(name);
        destination.Write("\r\n"u8);
    }

    /// <summary><c>AUTH PLAIN</c> with its initial response (RFC 4616 section 2).</summary>
    /// <param name="login">Without NUL.</param>
    /// <param name="password">Any bytes.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteAuthPlain(ReadOnlySpan<byte> login, ReadOnlySpan<byte> password, IBufferWriter<byte> destination)
    {
        byte[] message = [0, .. login, 0, .. password];
        destination.Write("AUTH PLAIN "u8);
        SaslBase64.Encode(message, destination);
        destination.Write("\r\n"u8);
        Array.Clear(message);
    }

    private static ReadOnlySpan<byte> LastLine(ReadOnlySpan<byte> buffered)
    {
        int start = buffered[..^2].LastIndexOf("\r\n"u8);
        return start < 0 ? buffered : buffered[(start + 2)..];
    }

    private static bool IsContinued(ReadOnlySpan<byte> line) => line.Length > CodeBytes && line[CodeBytes] == (byte)'-';
}
