using System.Collections.Concurrent;
using System.Net;
using Postern.Demo;
using Postern.TestKit;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>
/// A proxy for all three protocols with real servers behind it: SMTP goes to Postfix, which delivers to Dovecot by LMTP; POP3 and IMAP come from Dovecot.
/// Clients from 127.0.0.2 have the name <see cref="ClientName"/>, others none.
/// </summary>
public sealed class PostSite : IAsyncLifetime
{
    public const string ClientName = "client.example.test";

    /// <summary>The address clients bind to that want a name.</summary>
    public const string NamedClient = "127.0.0.2";

    /// <summary>Somebody the auth server knows and Postfix does not.</summary>
    public const string UnknownToPostfix = "user1000@example.test";

    private static int _lastUser;

    private readonly TemporaryFolder _folder = new();
    private Dovecot? _dovecot;
    private Postfix? _postfix;
    private ScriptedDns? _dns;
    private DemoAuthServer? _auth;
    private ProgramUnderTest? _proxy;

    public static string Password => Dovecot.Password;

    public ConcurrentQueue<DemoLogin> Logins { get; } = [];

    public int Imaps { get; } = LoopbackPorts.Next();

    public int Pop3 { get; } = LoopbackPorts.Next();

    public int Pop3s { get; } = LoopbackPorts.Next();

    public int Submission { get; } = LoopbackPorts.Next();

    public int Smtps { get; } = LoopbackPorts.Next();

    /// <summary>Submission that signs in at Postfix with the client's login and password, without XCLIENT.</summary>
    public int ProxiedAuth { get; } = LoopbackPorts.Next();

    /// <summary>Mail from other servers: <c>smtp_auth none</c>.</summary>
    public int Smtp { get; } = LoopbackPorts.Next();

    public string CertificateFile { get; private set; } = "";

    internal string PostfixLog => _postfix!.Log;

    internal string DovecotLog => _dovecot!.Log;

    public string ProxyLog => _proxy!.Log;

    /// <summary>A mailbox nobody else uses.</summary>
    public static string NewUser() => NameOf(Interlocked.Increment(ref _lastUser));

    public async ValueTask InitializeAsync()
    {
        _dovecot = await Dovecot.StartAsync();
        _postfix = await Postfix.StartAsync(_dovecot.LmtpPort, _dovecot.SaslSocket);
        _dns = ScriptedDns.Start([$"2.0.0.127.in-addr.arpa PTR {ClientName}", $"{ClientName} A {NamedClient}"]);
        _auth = new DemoAuthServer(Enumerable.Range(1, 1000).Select(i => new DemoUser(NameOf(i), Password)), UpstreamOf);
        _auth.Answered += Logins.Enqueue;
        TestCertificate certificate = TestCertificate.WriteEcdsa(_folder);
        CertificateFile = certificate.CertificateFile;
        string mail =
            $$"""
            mail {
                server_name mx.example.test;
                auth_http {{_auth.Url}};
                resolver 127.0.0.1:{{_dns.Port}} ipv6=off;
                ssl_certificate {{certificate.CertificateFile}};
                ssl_certificate_key {{certificate.KeyFile}};
                ssl_protocols TLSv1.2 TLSv1.3;
                pop3_auth plain apop cram-md5;
                smtp_auth plain login cram-md5;
                smtp_capabilities PIPELINING "SIZE 104857600" 8BITMIME ENHANCEDSTATUSCODES;
                server { listen 127.0.0.1:{{Imaps}} ssl; protocol imap; }
                server { listen 127.0.0.1:{{Pop3}}; protocol pop3; starttls on; }
                server { listen 127.0.0.1:{{Pop3s}} ssl; protocol pop3; }
                server { listen 127.0.0.1:{{Submission}}; protocol smtp; starttls only; }
                server { listen 127.0.0.1:{{Smtps}} ssl; protocol smtp; }
                server { listen 127.0.0.1:{{ProxiedAuth}} ssl; protocol smtp; xclient off; proxy_smtp_auth on; }
                server { listen 127.0.0.1:{{Smtp}}; protocol smtp; smtp_auth none; starttls on; }
            }
            """;
        _proxy = await ProgramUnderTest.StartAsync(ProxyPorts.Chosen, _folder, mail, Smtp);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable? part in new IAsyncDisposable?[] { _proxy, _auth, _dns, _postfix, _dovecot })
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }

        _folder.Dispose();
    }

    private IPEndPoint UpstreamOf(string protocol) => protocol switch
    {
        "smtp" => new IPEndPoint(IPAddress.Loopback, _postfix!.Port),
        "pop3" => _dovecot!.Pop3EndPoint,
        _ => _dovecot!.EndPoint,
    };

    private static string NameOf(int number) => $"user{number}@example.test";
}
