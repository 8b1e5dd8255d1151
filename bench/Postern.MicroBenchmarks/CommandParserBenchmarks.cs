using BenchmarkDotNet.Attributes;
using Postern.Protocol;
using Postern.Protocol.Imap;
using Postern.Protocol.Pop3;
using Postern.Protocol.Smtp;

namespace Postern.MicroBenchmarks;

/// <summary>One client command, whole in the buffer, by a parser that a session has had since its greeting.</summary>
[MemoryDiagnoser]
public class CommandParserBenchmarks
{
    private const int Capacity = 4096;

    private readonly ImapCommandParser _imap = new(Capacity);
    private readonly Pop3CommandParser _pop3 = new(Capacity);
    private readonly SmtpCommandParser _smtp = new(Capacity);
    private readonly byte[] _imapLogin = "a001 LOGIN \"user@example.org\" \"a secret\"\r\n"u8.ToArray();
    private readonly byte[] _imapCapability = "a001 CAPABILITY\r\n"u8.ToArray();
    private readonly byte[] _pop3User = "USER user@example.org\r\n"u8.ToArray();
    private readonly byte[] _smtpEhlo = "EHLO client.example.org\r\n"u8.ToArray();
    private readonly byte[] _smtpMail = "MAIL FROM:<user@example.org> BODY=8BITMIME SIZE=12345\r\n"u8.ToArray();

    [Benchmark]
    public ImapParse ImapLogin() => Imap(_imapLogin);

    [Benchmark]
    public ImapParse ImapCapability() => Imap(_imapCapability);

    [Benchmark]
    public CommandLine<Pop3Command> Pop3User()
    {
        _pop3.Reset();
        return _pop3.Parse(_pop3User);
    }

    [Benchmark]
    public CommandLine<SmtpCommand> SmtpEhlo() => Smtp(_smtpEhlo);

    [Benchmark]
    public CommandLine<SmtpCommand> SmtpMail() => Smtp(_smtpMail);

    private ImapParse Imap(byte[] command)
    {
        _imap.Reset();
        return _imap.Parse(command);
    }

    private CommandLine<SmtpCommand> Smtp(byte[] command)
    {
        _smtp.Reset();
        return _smtp.Parse(command);
    }
}
