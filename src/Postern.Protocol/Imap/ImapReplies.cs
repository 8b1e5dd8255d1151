using System.Buffers;
using Postern.Protocol.Sasl;

namespace Postern.Protocol.Imap;

/// <summary>What postern says to IMAP clients. Every constant is whole lines, CRLF included.</summary>
public static class ImapReplies
{
    public static ReadOnlySpan<byte> Greeting => "* OK IMAP4 ready\r\n"u8;

    /// <summary>Asks for the bytes of a synchronising literal.</summary>
    public static ReadOnlySpan<byte> LiteralContinuation => "+ OK\r\n"u8;

    /// <summary>Begins every SASL challenge (RFC 9051 section 6.2.2).</summary>
    public static ReadOnlySpan<byte> ChallengePrefix => "+ "u8;

    /// <summary>First line of the answer to LOGOUT; the tagged OK follows.</summary>
    public static ReadOnlySpan<byte> Bye => "* BYE\r\n"u8;

    /// <summary>Untagged even in answer to a tagged command, as nginx has it; then close.</summary>
    public static ReadOnlySpan<byte> InternalServerError => "* BAD internal server error\r\n"u8;

    /// <summary>Instead of the greeting (or of the first reply after STARTTLS), then close.</summary>
    public static ReadOnlySpan<byte> CertificateBad => "* BYE SSL certificate error\r\n"u8;

    /// <summary>Instead of the greeting (or of the first reply after STARTTLS), then close.</summary>
    public static ReadOnlySpan<byte> CertificateMissing => "* BYE No required SSL certificate\r\n"u8;

    /// <summary><c>TAG OK completed</c>: NOOP, CAPABILITY, LOGOUT, STARTTLS.</summary>
    /// <param name="tag">The client's tag.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteCompleted(ReadOnlySpan<byte> tag, IBufferWriter<byte> destination)
    {
        destination.Write(tag);
        destination.Write(" OK completed\r\n"u8);
    }

    /// <summary><c>TAG BAD invalid command</c>, or <c>* BAD invalid command</c> when no tag could be parsed.</summary>
    /// <param name="tag">The client's tag; empty = none.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteInvalidCommand(ReadOnlySpan<byte> tag, IBufferWriter<byte> destination)
    {
        destination.Write(tag.IsEmpty ? "*"u8 : tag);
        destination.Write(" BAD invalid command\r\n"u8);
    }

    /// <summary><c>TAG NO MESSAGE</c>: the auth server refused.</summary>
    /// <param name="tag">The client's tag.</param>
    /// <param name="message">The auth server's text; a header value, so without CR and LF.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteRefused(ReadOnlySpan<byte> tag, ReadOnlySpan<byte> message, IBufferWriter<byte> destination)
    {
        destination.Write(tag);
        destination.Write(" NO "u8);
        destination.Write(message);
        destination.Write("\r\n"u8);
    }

    /// <summary>The untagged capability line (RFC 9051 section 7.2.2); the tagged OK is the caller's.</summary>
    /// <param name="words">The configured words (<c>imap_capabilities</c>); not filtered.</param>
    /// <param name="mechanisms">Those configured by <c>imap_auth</c>.</param>
    /// <param name="startTls">Whether STARTTLS is offered, and whether sign-in has to wait for it.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteCapability(
        IEnumerable<byte[]> words, SaslMechanisms mechanisms, StartTlsOffer startTls, IBufferWriter<byte> destination)
    {
        destination.Write("* CAPABILITY"u8);
        foreach (byte[] word in words)
        {
            destination.Write(" "u8);
            destination.Write(word);
        }

        if (startTls == StartTlsOffer.Required)
        {
            destination.Write(" STARTTLS LOGINDISABLED\r\n"u8);
            return;
        }

        SaslMechanismName.WriteList(mechanisms, " AUTH="u8, ""u8, destination);
        destination.Write(startTls == StartTlsOffer.Optional ? " STARTTLS\r\n"u8 : "\r\n"u8);
    }
}
