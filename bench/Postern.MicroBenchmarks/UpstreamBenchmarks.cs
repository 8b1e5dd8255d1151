using BenchmarkDotNet.Attributes;
using Postern.Net;
using Postern.Protocol;
using Postern.Protocol.Imap;
using Postern.Protocol.Pop3;
using Postern.Protocol.Smtp;

namespace Postern.MicroBenchmarks;

/// <summary>The login at the backend: commands written, replies classified.</summary>
[MemoryDiagnoser]
public class UpstreamBenchmarks
{
    private readonly ScratchWriter _writer = new();
    private readonly byte[] _tag = "a001"u8.ToArray();
    private readonly byte[] _user = "user@example.org"u8.ToArray();
    private readonly byte[] _password = "a \"secret\""u8.ToArray();
    private readonly byte[] _address = "192.0.2.55"u8.ToArray();
    private readonly byte[] _name = "client.example.org"u8.ToArray();
    private readonly byte[] _imapReply = "a001 OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] Logged in\r\n"u8.ToArray();
    private readonly byte[] _pop3Reply = "+OK Logged in.\r\n"u8.ToArray();
    private readonly byte[] _smtpReply = "250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250 8BITMIME\r\n"u8.ToArray();

    [Benchmark]
    public int ImapLogin()
    {
        _ = ImapLoginCommand.TryWriteQuoted(_tag, _user, _password, _writer.Reset());
        return _writer.Written.Length;
    }

    [Benchmark]
    public int Pop3UserAndPass()
    {
        Pop3Upstream.WriteCommand("USER "u8, _user, _writer.Reset());
        Pop3Upstream.WriteCommand("PASS "u8, _password, _writer);
        return _writer.Written.Length;
    }

    [Benchmark]
    public int SmtpXClient()
    {
        SmtpUpstream.WriteXClient(_address, isIPv6: false, _user, _name, _writer.Reset());
        return _writer.Written.Length;
    }

    [Benchmark]
    public int SmtpAuthPlain()
    {
        SmtpUpstream.WriteAuthPlain(_user, _password, _writer.Reset());
        return _writer.Written.Length;
    }

    [Benchmark]
    public UpstreamReply ImapReply() => ImapUpstreamReply.Login(_imapReply, _tag);

    [Benchmark]
    public UpstreamReply Pop3Reply() => Pop3Upstream.Reply(_pop3Reply);

    [Benchmark]
    public UpstreamReply SmtpReply() => SmtpUpstream.Reply(_smtpReply, "250"u8);
}
