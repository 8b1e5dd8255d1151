using System.Buffers;
using System.Text;
using Postern.Protocol.Sasl;

namespace Postern.Protocol.Pop3;

/// <summary>What postern says to POP3 clients. Every constant is whole lines, CRLF included, but for the prefix.</summary>
public static class Pop3Replies
{
    public static ReadOnlySpan<byte> Greeting => "+OK POP3 ready\r\n"u8;

    public static ReadOnlySpan<byte> Ok => "+OK\r\n"u8;

    public static ReadOnlySpan<byte> InvalidCommand => "-ERR invalid command\r\n"u8;

    /// <summary>Then close.</summary>
    public static ReadOnlySpan<byte> InternalServerError => "-ERR internal server error\r\n"u8;

    /// <summary>Begins every SASL challenge (RFC 5034 section 4).</summary>
    public static ReadOnlySpan<byte> ChallengePrefix => "+ "u8;

    /// <summary>The greeting of a server that offers APOP (RFC 1939 section 7).</summary>
    /// <param name="salt">The challenge, angle brackets included.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteGreeting(ReadOnlySpan<byte> salt, IBufferWriter<byte> destination)
    {
        destination.Write("+OK POP3 ready "u8);
        destination.Write(salt);
        destination.Write("\r\n"u8);
    }

    /// <summary><c>-ERR MESSAGE</c>: the auth server refused.</summary>
    /// <param name="message">The auth server's text; a header value, so without CR and LF.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteRefused(ReadOnlySpan<byte> message, IBufferWriter<byte> destination)
    {
        destination.Write("-ERR "u8);
        destination.Write(message);
        destination.Write("\r\n"u8);
    }

    /// <summary>The answer to CAPA (RFC 2449 section 5).</summary>
    /// <param name="words">The configured words (<c>pop3_capabilities</c>), each a line; <c>USER</c> is left out where TLS must come first.</param>
    /// <param name="mechanisms">Those configured by <c>pop3_auth</c>. The SASL line is there even if there are none, as in nginx.</param>
    /// <param name="startTls">Whether STLS is offered, and whether sign-in has to wait for it.</param>
    /// <param name="destination">Where the lines are written.</param>
    public static void WriteCapabilities(
        IEnumerable<byte[]> words, SaslMechanisms mechanisms, StartTlsOffer startTls, IBufferWriter<byte> destination)
    {
        destination.Write("+OK Capability list follows\r\n"u8);
        foreach (byte[] word in words)
        {
            if (startTls != StartTlsOffer.Required || !Ascii.EqualsIgnoreCase(word, "USER"u8))
            {
                destination.Write(word);
                destination.Write("\r\n"u8);
            }
        }

        if (startTls != StartTlsOffer.Required)
        {
            destination.Write("SASL"u8);
            SaslMechanismName.WriteList(mechanisms, " "u8, ""u8, destination);
            destination.Write("\r\n"u8);
        }

        destination.Write(startTls == StartTlsOffer.None ? ".\r\n"u8 : "STLS\r\n.\r\n"u8);
    }

    /// <summary>The answer to AUTH without arguments: one mechanism a line.</summary>
    public static void WriteMechanisms(SaslMechanisms mechanisms, IBufferWriter<byte> destination)
    {
        destination.Write("+OK methods supported:\r\n"u8);
        SaslMechanismName.WriteList(mechanisms, ""u8, "\r\n"u8, destination);
        destination.Write(".\r\n"u8);
    }
}
