using System.Buffers;
using Postern.Protocol.Sasl;

namespace Postern.Protocol.Smtp;

/// <summary>What postern says to SMTP clients. Every constant is whole lines, CRLF included, but for the prefix.</summary>
public static class SmtpReplies
{
    public static ReadOnlySpan<byte> Ok => "250 2.0.0 OK\r\n"u8;

    public static ReadOnlySpan<byte> InvalidCommand => "500 5.5.1 Invalid command\r\n"u8;

    public static ReadOnlySpan<byte> InvalidArgument => "501 5.5.4 Invalid argument\r\n"u8;

    public static ReadOnlySpan<byte> BadSequence => "503 5.5.1 Bad sequence of commands\r\n"u8;

    public static ReadOnlySpan<byte> AuthenticationRequired => "530 5.7.1 Authentication required\r\n"u8;

    /// <summary>RFC 3207 section 4.</summary>
    public static ReadOnlySpan<byte> StartTlsRequired => "530 5.7.0 Must issue a STARTTLS command first\r\n"u8;

    /// <summary>To a client that speaks before the greeting, then close.</summary>
    public static ReadOnlySpan<byte> EarlyTalker => "503 5.5.0 Improper use of SMTP command pipelining\r\n"u8;

    public static ReadOnlySpan<byte> Bye => "221 2.0.0 Bye\r\n"u8;

    public static ReadOnlySpan<byte> StartTls => "220 2.0.0 Start TLS\r\n"u8;

    public static ReadOnlySpan<byte> Authenticated => "235 2.0.0 OK\r\n"u8;

    /// <summary>Then close.</summary>
    public static ReadOnlySpan<byte> InternalServerError => "451 4.3.2 Internal server error\r\n"u8;

    /// <summary>Begins every SASL challenge (RFC 4954 section 4).</summary>
    public static ReadOnlySpan<byte> ChallengePrefix => "334 "u8;

    /// <summary>Code and enhanced code of a refusal for which the auth server named none.</summary>
    private static ReadOnlySpan<byte> RefusedCode => "535 5.7.0"u8;

    public static void WriteGreeting(ReadOnlySpan<byte> serverName, IBufferWriter<byte> destination)
    {
        destination.Write("220 "u8);
        destination.Write(serverName);
        destination.Write(" ESMTP ready\r\n"u8);
    }

    /// <summary>The answer to HELO.</summary>
    public static void WriteHelo(ReadOnlySpan<byte> serverName, IBufferWriter<byte> destination)
    {
        destination.Write("250 "u8);
        destination.Write(serverName);
        destination.Write("\r\n"u8);
    }

    /// <summary><c>CODE MESSAGE</c>: the auth server refused.</summary>
    /// <param name="code"><c>Auth-Error-Code</c>; empty = the default.</param>
    /// <param name="message">The auth server's text; a header value, so without CR and LF.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void WriteRefused(ReadOnlySpan<byte> code, ReadOnlySpan<byte> message, IBufferWriter<byte> destination)
    {
        destination.Write(code.IsEmpty ? RefusedCode : code);
        destination.Write(" "u8);
        destination.Write(message);
        destination.Write("\r\n"u8);
    }

    /// <summary>The answer to EHLO (RFC 5321 section 4.1.1.1).</summary>
    /// <param name="serverName"><c>server_name</c>.</param>
    /// <param name="words">The configured words (<c>smtp_capabilities</c>), each a line.</param>
    /// <param name="mechanisms">Those configured by <c>smtp_auth</c>; no AUTH line if there are none.</param>
    /// <param name="startTls">Whether STARTTLS is offered, and whether sign-in has to wait for it.</param>
    /// <param name="destination">Where the lines are written.</param>
    public static void WriteEhlo(
        ReadOnlySpan<byte> serverName,
        IReadOnlyList<byte[]> words,
        SaslMechanisms mechanisms,
        StartTlsOffer startTls,
        IBufferWriter<byte> destination)
    {
        bool auth = startTls != StartTlsOffer.Required && mechanisms != SaslMechanisms.None;
        int left = 1 + words.Count + (auth ? 1 : 0) + (startTls == StartTlsOffer.None ? 0 : 1);
        WriteLine(serverName, --left, destination);
        foreach (byte[] word in words)
        {
            WriteLine(word, --left, destination);
        }

        if (auth)
        {
            destination.Write(--left == 0 ? "250 AUTH"u8 : "250-AUTH"u8);
            SaslMechanismName.WriteList(mechanisms, " "u8, ""u8, destination);
            destination.Write("\r\n"u8);
        }

        if (startTls != StartTlsOffer.None)
        {
            WriteLine("STARTTLS"u8, --left, destination);
        }
    }

    private static void WriteLine(ReadOnlySpan<byte> text, int linesLeft, IBufferWriter<byte> destination)
    {
        destination.Write(linesLeft == 0 ? "250 "u8 : "250-"u8);
        destination.Write(text);
        destination.Write("\r\n"u8);
    }
}
