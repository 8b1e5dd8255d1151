using System.Text;

namespace Postern.Protocol.Smtp;

/// <summary>The commands understood before authentication (RFC 5321 section 4.1.1, RFC 3207, RFC 4954).</summary>
public enum SmtpCommand
{
    /// <summary>No known verb; never the command of a complete line.</summary>
    Unknown,
    Helo,
    Ehlo,
    Auth,
    Quit,
    Noop,
    Mail,
    Rset,
    Rcpt,
    Vrfy,
    Expn,
    Help,
    StartTls,
}

/// <summary>Parses one SMTP command before authentication.</summary>
/// <param name="capacity">Bytes a command may have, line end included (<c>smtp_client_buffer</c>).</param>
public sealed class SmtpCommandParser(int capacity) : CommandLineParser<SmtpCommand>(capacity, MaxArguments)
{
    /// <summary>Most arguments accepted: address and ten parameters of MAIL or RCPT (RFC 5321 section 4.1.1.11).</summary>
    public const int MaxArguments = 11;

    private const int VerbBytes = 4;

    private protected override SmtpCommand Recognise(ReadOnlySpan<byte> verb)
    {
        if (verb.Length != VerbBytes)
        {
            return Ascii.EqualsIgnoreCase(verb, "STARTTLS"u8) ? SmtpCommand.StartTls : SmtpCommand.Unknown;
        }

        Span<byte> upper = stackalloc byte[VerbBytes];
        _ = Ascii.ToUpper(verb, upper, out _);
        return upper switch
        {
            _ when upper.SequenceEqual("EHLO"u8) => SmtpCommand.Ehlo,
            _ when upper.SequenceEqual("HELO"u8) => SmtpCommand.Helo,
            _ when upper.SequenceEqual("AUTH"u8) => SmtpCommand.Auth,
            _ when upper.SequenceEqual("MAIL"u8) => SmtpCommand.Mail,
            _ when upper.SequenceEqual("RCPT"u8) => SmtpCommand.Rcpt,
            _ when upper.SequenceEqual("RSET"u8) => SmtpCommand.Rset,
            _ when upper.SequenceEqual("NOOP"u8) => SmtpCommand.Noop,
            _ when upper.SequenceEqual("QUIT"u8) => SmtpCommand.Quit,
            _ when upper.SequenceEqual("VRFY"u8) => SmtpCommand.Vrfy,
            _ when upper.SequenceEqual("EXPN"u8) => SmtpCommand.Expn,
            _ when upper.SequenceEqual("HELP"u8) => SmtpCommand.Help,
            _ => SmtpCommand.Unknown,
        };
    }
}
