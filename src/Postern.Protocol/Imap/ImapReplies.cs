using System.Buffers;
using System.Text;
using Postern.Protocol.Sasl;

namespace Postern.Protocol.Imap;

/// <summary>What postern says to IMAP clients. Every constant is whole lines, CRLF included.</summary>
public static class ImapReplies
{
    public static ReadOnlySpan<byte> Greeting => "* OK IMAP4 ready\r\n"u8;

    /// <summary>Asks for the bytes of a synchronising literal.</summary>
    public static ReadOnlySpan<byte> LiteralContinuation => "+ OK\r\n"u8;

    public static ReadOnlySpan<byte> EmptyChallenge => "+ \r\n"u8;

    /// <summary><c>Username:</c> in base64.</summary>
    public static ReadOnlySpan<byte> UsernameChallenge => "+ VXNlcm5hbWU6\r\n"u8;

    /// <summary><c>Password:</c> in base64.</summary>
    public static ReadOnlySpan<byte> PasswordChallenge => "+ UGFzc3dvcmQ6\r\n"u8;

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

    /// <summary><c>+ CHALLENGE</c> with the base64 of a CRAM-MD5 salt.</summary>
    public static void WriteChallenge(ReadOnlySpan<byte> salt, IBufferWriter<byte> destination)
    {
        destination.Write("+ "u8);
        SaslBase64.Encode(salt, destination);
        destination.Write("\r\n"u8);
    }

    /// <summary>The configured words as <see cref="WriteCapability"/> takes them: each behind one space.</summary>
    public static byte[] EncodeCapabilityWords(IEnumerable<string> words) =>
        Encoding.UTF8.GetBytes(string.Concat(words.Select(word => " " + word)));

    /// <summary>The untagged capability line (RFC 9051 section 7.2.2); the tagged OK is the caller's.</summary>
    /// <param name="encodedWords">From <see cref="EncodeCapabilityWords"/> (<c>imap_capabilities</c>); not filtered.</param>
    /// <param name="mechanisms">Those configured by <c>imap_auth</c>.</param>
    /// <param name="startTls">Whether STARTTLS is offered, and whether sign-in has to wait for it.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteCapability(
        ReadOnlySpan<byte> encodedWords, SaslMechanisms mechanisms, StartTlsOffer startTls, IBufferWriter<byte> destination)
    {
        destination.Write("* CAPABILITY"u8);
        destination.Write(encodedWords);
        if (startTls == StartTlsOffer.Required)
        {
            destination.Write(" STARTTLS LOGINDISABLED\r\n"u8);
            return;
        }

        WriteIf(mechanisms.HasFlag(SaslMechanisms.Plain), " AUTH=PLAIN"u8, destination);
        WriteIf(mechanisms.HasFlag(SaslMechanisms.Login), " AUTH=LOGIN"u8, destination);
        WriteIf(mechanisms.HasFlag(SaslMechanisms.CramMd5), " AUTH=CRAM-MD5"u8, destination);
        WriteIf(mechanisms.HasFlag(SaslMechanisms.External), " AUTH=EXTERNAL"u8, destination);
        WriteIf(startTls == StartTlsOffer.Optional, " STARTTLS"u8, destination);
        destination.Write("\r\n"u8);
    }

    private static void WriteIf(bool condition, ReadOnlySpan<byte> text, IBufferWriter<byte> destination)
    {
        if (condition)
        {
            destination.Write(text);
        }
    }
}
