using System.Net;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Resolving;
using Postern.Net.Tls;
using Postern.Sessions;
using Xunit;

namespace Postern.Server.Tests.Configuration;

public sealed class MailMergeTests : ConfigurationTests
{
    [Fact]
    public void Server_NothingSaid_HasDefaults()
    {
        MailServerSettings server = Server();

        Assert.Equal(AuthMethods.Plain, server.AuthMethods);
        Assert.Equal(["IMAP4", "IMAP4rev1", "UIDPLUS"], server.Capabilities);
        Assert.Equal((4096, 4096, 5), (server.ClientBufferBytes, server.ProxyBufferBytes, server.MaxErrors));
        Assert.Equal((TimeSpan.FromSeconds(60), TimeSpan.FromHours(24)), (server.Timeout, server.ProxyTimeout));
        Assert.Equal(Dns.GetHostName().ToLowerInvariant(), server.ServerName);
        Assert.Equal((false, false, true), (server.ProxyPassErrorMessage, server.ProxySmtpAuth, server.XClient));
        Assert.Equal(OutgoingProxyProtocol.Off, server.ProxyProtocol);
        Assert.Empty(server.RealIPFrom);
        Assert.Null(server.Resolver);
        Assert.Null(server.ErrorLogs);
        Assert.Equal((StartTls.Off, false, "HIGH:!aNULL:!MD5"), (server.Tls.StartTls, server.Tls.Needed, server.Tls.Ciphers));
        Assert.Equal(TlsProtocols.TLSv12 | TlsProtocols.TLSv13, server.Tls.Protocols);
    }

    [Fact]
    public void Server_SingleValues_OverrideTheMailLevels()
    {
        const string directives = "timeout 1s; server_name a; max_errors 1; imap_client_buffer 1k; proxy_buffer 1k; proxy_timeout 1m; "
            + "proxy_pass_error_message on; proxy_smtp_auth on; proxy_protocol V2; xclient off;";
        MailServerSettings inherited = Server(mail: directives);
        MailServerSettings overridden = Server(mail: "timeout 9s; server_name z; max_errors 9; imap_client_buffer 9k; proxy_buffer 9k; "
            + "proxy_timeout 9m; proxy_pass_error_message off; proxy_smtp_auth off; proxy_protocol on; xclient on;", server: directives);

        Assert.Equal(Facts(inherited), Facts(overridden));
        Assert.Equal(
            (TimeSpan.FromSeconds(1), "a", 1, 1024, 1024, TimeSpan.FromMinutes(1), true, true, OutgoingProxyProtocol.V2, false),
            Facts(inherited));
    }

    [Fact]
    public void Server_MailDirectiveBehindIt_StillApplies() => Assert.Equal(
        3,
        Settings("events {} mail { server { listen 143; } max_errors 3; auth_http 127.0.0.1:1; }").Servers[0].MaxErrors);

    [Theory]
    [InlineData("imap_auth login; imap_auth cram-md5;", "", AuthMethods.Login | AuthMethods.CramMd5)]
    [InlineData("imap_auth login;", "imap_auth external; imap_auth PLAIN;", AuthMethods.External | AuthMethods.Plain)]
    public void Methods_UniteOnALevelAndReplaceTheLevelAbove(string mail, string server, AuthMethods expected) =>
        Assert.Equal(expected, Server(mail, server).AuthMethods);

    [Theory]
    [InlineData("imap_capabilities A \"B C\"; imap_capabilities D;", "", "A|B C|D")]
    [InlineData("imap_capabilities A;", "imap_capabilities B;", "B")]
    public void Lists_AppendOnALevelAndReplaceTheLevelAbove(string mail, string server, string expected) =>
        Assert.Equal(expected.Split('|'), Server(mail, server).Capabilities);

    [Fact]
    public void Headers_OfTheServer_ReplaceThoseOfMail()
    {
        AuthHttpSettings auth = Server("auth_http_header X 1;", "auth_http_header Y 2; auth_http_header Z \"3 4\";").AuthHttp;

        Assert.Equal([new("Y", "2"), new("Z", "3 4")], auth.Headers);
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1:80", "127.0.0.1", "/")]
    [InlineData("http://127.0.0.1:9000/auth?x", "127.0.0.1:9000", "127.0.0.1", "/auth?x")]
    [InlineData("one.example/a", "192.0.2.7:80", "one.example", "/a")]
    [InlineData("two.example:81", "192.0.2.1:81", "two.example", "/")]
    [InlineData("[::1]:81/a", "[::1]:81", "[::1]", "/a")]
    [InlineData("127.0.0.1?q=1:2/3", "127.0.0.1:80", "127.0.0.1", "?q=1:2/3")]
    [InlineData("unix:/run/auth:/a", "unix:/run/auth", "localhost", "/a")]
    [InlineData("unix:/run/auth", "unix:/run/auth", "localhost", "/")]
    public void AuthHttp_Url_IsTakenApart(string url, string address, string host, string uri)
    {
        AuthHttpSettings auth = Server(server: $"auth_http {url};").AuthHttp;

        Assert.Equal((address, host, uri), (auth.Address.ToString(), auth.Host, auth.Uri));
    }

    [Fact]
    public void AuthHttp_GivenTwice_LastOneCounts() =>
        Assert.Equal("/b", Server(server: "auth_http 127.0.0.1/a; auth_http 127.0.0.1/b;").AuthHttp.Uri);

    [Fact]
    public void AuthHttp_OtherDirectives_AreMerged()
    {
        AuthHttpSettings auth = Server("auth_http_timeout 5s; auth_http_pass_client_cert on;", "auth_http_timeout 500ms;").AuthHttp;

        Assert.Equal((TimeSpan.FromMilliseconds(500), true), (auth.Timeout, auth.PassClientCertificate));
    }

    [Fact]
    public void Tls_Paths_AreRelativeToTheConfiguration()
    {
        TlsServerSettings tls = Server(
            "ssl_certificate a.pem; ssl_certificate /b.pem;",
            "ssl_certificate_key k; ssl_certificate_key data:x; starttls OFF; ssl_dhparam d; ssl_crl /c; ssl_session_ticket_key t;").Tls;

        Assert.Equal([Folder + "a.pem", "/b.pem"], tls.Certificates);
        Assert.Equal([Folder + "k", "data:x"], tls.CertificateKeys);
        Assert.Equal((Folder + "d", "/c", Folder + "t"), (tls.DhParam, tls.RevocationLists, tls.TicketKeys[0]));
        Assert.Equal((StartTls.Off, false), (tls.StartTls, tls.Needed));
    }

    [Theory]
    [InlineData("starttls on;", "", "no \"ssl_certificate\" is defined for the \"starttls\" directive in n.conf:2")]
    [InlineData(
        "",
        "starttls only; ssl_certificate a;",
        "no \"ssl_certificate_key\" is defined for the \"starttls\" directive in n.conf:4")]
    [InlineData(
        "ssl_certificate a; ssl_certificate b;",
        "starttls on; ssl_certificate_key k;",
        "no \"ssl_certificate_key\" is defined for certificate \"b\" and the \"starttls\" directive in n.conf:4")]
    public void Tls_MissingFiles_AreReportedWhereTlsBecameNecessary(string mail, string server, string message) => Assert.Equal(
        ["[emerg] " + message],
        Messages($"events {{}} mail {{ auth_http 127.0.0.1:1;\n{mail}\nserver {{ listen 143;\n{server}\n}} }}"));

    [Fact]
    public void Tls_NotNeeded_IsNotChecked() => Assert.False(Server("ssl_certificate a;", "ssl_ciphers BOGUS;").Tls.Needed);

    /// <summary>The halves of the directive are inherited each on its own.</summary>
    [Theory]
    [InlineData("", "", SessionCacheMode.None, null)]
    [InlineData("ssl_session_cache shared:S:1m;", "", SessionCacheMode.NotBuiltin, "S")]
    [InlineData("ssl_session_cache shared:S:1m;", "ssl_session_cache builtin;", SessionCacheMode.Builtin, "S")]
    [InlineData("ssl_session_cache builtin;", "ssl_session_cache shared:S:1m;", SessionCacheMode.NotBuiltin, "S")]
    [InlineData("ssl_session_cache shared:S:1m;", "ssl_session_cache none;", SessionCacheMode.None, "S")]
    [InlineData("", "ssl_session_cache off shared:S:1m;", SessionCacheMode.Off, "S")]
    [InlineData("", "ssl_session_cache builtin off;", SessionCacheMode.Off, null)]
    [InlineData("", "ssl_session_cache shared:A:1m; ssl_session_cache builtin shared:B:1m;", SessionCacheMode.Builtin, "B")]
    public void Tls_SessionCache_IsMergedByHalves(string mail, string server, SessionCacheMode mode, string? shared)
    {
        TlsServerSettings tls = Server(mail, server).Tls;

        Assert.Equal((mode, shared), (tls.SessionCache, tls.SharedCache?.Name));
    }

    [Fact]
    public void Tls_SessionDirectives_AreMerged()
    {
        TlsServerSettings tls = Server(
            "ssl_session_timeout 1h30m; ssl_session_ticket_key a; ssl_session_ticket_key b; ssl_verify_depth 5;",
            "ssl_session_tickets off; ssl_session_ticket_key c; ssl_session_cache builtin:7; ssl_verify_client optional_no_ca;").Tls;

        Assert.Equal((5400, false, 7), (tls.SessionTimeoutSeconds, tls.SessionTickets, tls.BuiltinSessions));
        Assert.Equal([Folder + "c"], tls.TicketKeys);
        Assert.Equal((ClientCertificatePolicy.OptionalNoCa, 5), (tls.VerifyClient, tls.VerifyDepth));
    }

    [Fact]
    public void Tls_Protocols_AreReplacedAsAWhole() => Assert.Equal(
        TlsProtocols.TLSv1 | TlsProtocols.TLSv11,
        Server("ssl_protocols TLSv1.3;", "ssl_protocols TLSv1; ssl_protocols tlsv1.1;").Tls.Protocols);

    [Fact]
    public void RealIP_Ranges_AreMasked()
    {
        IReadOnlyList<AddressRange> from = Server(
            "set_real_ip_from 9.9.9.9;",
            "set_real_ip_from 10.1.2.3/9; set_real_ip_from unix:; set_real_ip_from two.example;").RealIPFrom;

        Assert.Equal(
            ["0A000000/9", "/0", "C0000201/32", "20010DB8000000000000000000000001/128", "C0000201/32"],
            from.Select(proxy => $"{Convert.ToHexString(proxy.Address)}/{proxy.PrefixBits}"));
    }

    [Fact]
    public void Resolver_IsReadAndSwitchedOff()
    {
        ResolverSettings resolver = Server("resolver 127.0.0.1 [::1]:5353 one.example valid=30s ipv6=off; resolver_timeout 5s;").Resolver!;

        Assert.Equal(["127.0.0.1:53", "[::1]:5353", "192.0.2.7:53"], resolver.Servers.Select(server => server.ToString()));
        Assert.Equal(
            (TimeSpan.FromSeconds(30), true, false, TimeSpan.FromSeconds(5)),
            (resolver.Valid, resolver.IPv4, resolver.IPv6, resolver.Timeout));
        Assert.Null(Server("resolver 127.0.0.1;", "resolver off;").Resolver);
    }

    [Fact]
    public void ErrorLogs_OfTheServer_ReplaceTheOthers()
    {
        Assert.Equal(
            [Folder + "b", Folder + "c"],
            Server("error_log a;", "error_log b info; error_log c;").ErrorLogs!.Select(log => log.Path));
        Assert.Equal([LogLevel.Warn], Server("error_log a warn;").ErrorLogs!.Select(log => log.Level));
    }

    [Fact]
    public void ProxyBuffer_TooSmall_IsRaisedWithAWarning()
    {
        Assert.Equal(128, Server("proxy_buffer 10;").ProxyBufferBytes);
        Assert.Equal(
            ["[warn] \"proxy_buffer\" is too small, 128 bytes are used in n.conf:1"],
            Messages("events {} mail { proxy_buffer 10; }"));
    }

    private static object Facts(MailServerSettings server) => (
        server.Timeout, server.ServerName, server.MaxErrors, server.ClientBufferBytes,
        server.ProxyBufferBytes, server.ProxyTimeout, server.ProxyPassErrorMessage, server.ProxySmtpAuth, server.ProxyProtocol,
        server.XClient);
}
