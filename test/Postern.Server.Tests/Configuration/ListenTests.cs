using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tls;
using Postern.Sessions;
using Xunit;

namespace Postern.Server.Tests.Configuration;

public sealed class ListenTests : ConfigurationTests
{
    /// <summary>Servers with a TLS listener open their certificate while they are read.</summary>
    public ListenTests()
    {
        var certificate = SelfSignedCertificate.Create("localhost", "DNS:localhost");
        File.WriteAllText(Folder + "c", certificate.CertificatePem);
        File.WriteAllText(Folder + "k", certificate.KeyPem);
    }

    [Theory]
    [InlineData("143", "0.0.0.0:143")]
    [InlineData("*:143", "0.0.0.0:143")]
    [InlineData("127.0.0.1:143", "127.0.0.1:143")]
    [InlineData("[::]:143", "[::]:143")]
    [InlineData("[2001:db8::1]:143", "[2001:db8::1]:143")]
    [InlineData("unix:/run/imap", "unix:/run/imap")]
    [InlineData("143-145", "0.0.0.0:143|0.0.0.0:144|0.0.0.0:145")]
    [InlineData("one.example:143", "192.0.2.7:143")]
    [InlineData("two.example:143-144", "192.0.2.1:143|192.0.2.1:144|[2001:db8::1]:143|[2001:db8::1]:144")]
    public void Listen_Address_IsTakenApart(string address, string expected) =>
        Assert.Equal(expected.Split('|'), Listen($"{address}").Select(listen => listen.Text));

    [Fact]
    public void Listen_Alone_HasDefaults()
    {
        ListenSettings listen = Listen("143")[0];

        Assert.Equal(new ListenSettings { Address = EndpointAddress.FromIP([0, 0, 0, 0], 143) }, listen);
        Assert.Equal(511, listen.Backlog);
    }

    [Fact]
    public void Listen_Parameters_AreRead()
    {
        ListenSettings listen = Listen(
            "[::]:143 ssl proxy_protocol backlog=99 rcvbuf=64k sndbuf=1m ipv6only=off so_keepalive=30m::10",
            Tls)[0];

        Assert.Equal(
            new ListenSettings
            {
                Address = listen.Address,
                Ssl = true,
                ProxyProtocol = true,
                OwnSocket = true,
                Backlog = 99,
                ReceiveBufferBytes = 65536,
                SendBufferBytes = 1 << 20,
                Ipv6Only = false,
                KeepAlive = true,
                KeepAliveIdleSeconds = 1800,
                KeepAliveCount = 10,
            },
            listen);
    }

    [Theory]
    [InlineData("ssl", false)]
    [InlineData("proxy_protocol", false)]
    [InlineData("bind", true)]
    [InlineData("so_keepalive=off", true)]
    [InlineData("backlog=511", true)]
    [InlineData("multipath", true)]
    public void Listen_Parameter_ForcesOwnSocket(string parameter, bool expected) =>
        Assert.Equal(expected, Listen($"143 {parameter}", Tls)[0].OwnSocket);

    [Theory]
    [InlineData("143; listen 127.0.0.1:143", null)]
    [InlineData("143; listen 0.0.0.0:143", "[emerg] duplicate \"0.0.0.0:143\" address and port pair in n.conf:1")]
    [InlineData("143-145; listen 144", "[emerg] duplicate \"0.0.0.0:144\" address and port pair in n.conf:1")]
    [InlineData("192.0.2.7:143; listen one.example:143", "[emerg] duplicate \"192.0.2.7:143\" address and port pair in n.conf:1")]
    [InlineData("143 multipath=on", "[emerg] invalid parameter \"multipath=on\" in n.conf:1")]
    [InlineData("127.0.0.1", "[emerg] no port in \"127.0.0.1\" of the \"listen\" directive in n.conf:1")]
    public void Listen_Fault_IsReported(string listen, string? message) => Assert.Equal(
        message is null ? [] : [message],
        Messages($"events {{}} mail {{ auth_http 127.0.0.1:1; server {{ protocol imap; listen {listen}; }} }}"));

    [Fact]
    public void Listen_SameAddressInTwoServers_IsDuplicate() => Assert.Equal(
        ["[emerg] duplicate \"0.0.0.0:143\" address and port pair in n.conf:2"],
        Messages("events {} mail { server { listen 143; }\nserver { listen 143; } }"));

    [Theory]
    [InlineData("listen 143;", MailProtocol.Imap)]
    [InlineData("listen 993;", MailProtocol.Imap)]
    [InlineData("listen 14143; listen 143; listen 110;", MailProtocol.Imap)]
    [InlineData("listen 110; protocol imap;", MailProtocol.Imap)]
    [InlineData("listen 995;", MailProtocol.Pop3)]
    [InlineData("listen 587;", MailProtocol.Smtp)]
    [InlineData("listen 25; listen 110;", MailProtocol.Smtp)]
    [InlineData("protocol pop3; protocol imap; listen 25;", MailProtocol.Imap)]
    public void Protocol_FollowsDirectiveThenPort(string server, MailProtocol expected) => Assert.Equal(
        expected, Settings($"events {{}} mail {{ auth_http 127.0.0.1:1; server {{ {server} }} }}").Servers[0].Protocol);

    [Theory]
    [InlineData("listen 109-110;", "[emerg] unknown mail protocol for server in n.conf:2")]
    [InlineData("listen unix:/x;", "[emerg] unknown mail protocol for server in n.conf:2")]
    [InlineData("protocol imap;", "[emerg] no \"listen\" is defined for server in n.conf:2")]
    public void Server_Fault_IsReportedAtItsBrace(string server, string message) => Assert.Equal(
        [message],
        Messages($"events {{}} mail {{ auth_http 127.0.0.1:1;\nserver {{\n{server}\n}}\n}}"));

    [Fact]
    public void Check_MissingAuthHttp_ComesBehindProtocolsAndCertificates() => Assert.Equal(
        [
            "[emerg] unknown mail protocol for server in n.conf:3",
            "[emerg] no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive in n.conf:2",
            "[emerg] no \"auth_http\" is defined for server in n.conf:2",
            "[emerg] no \"auth_http\" is defined for server in n.conf:3",
        ],
        Messages("events {} mail {\nserver { listen 993 ssl; }\nserver { listen 5; } }"));

    private const string Tls = "ssl_certificate c; ssl_certificate_key k;";

    private IReadOnlyList<ListenSettings> Listen(string listen, string more = "")
    {
        WriteFile("c", Certificate.CertificatePem);
        WriteFile("k", Certificate.KeyPem);
        return Settings(
            $"events {{}} mail {{ auth_http 127.0.0.1:1; server {{ protocol imap; listen {listen}; {more} }} }}").Servers[0].Listen;
    }
}
