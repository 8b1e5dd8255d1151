using System.Security.Authentication;
using System.Text.RegularExpressions;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>The six refusal lines of TLS reference 5, byte for byte: each protocol, from the first byte and after STARTTLS.</summary>
public sealed class RefusalTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string On = "ssl_verify_client on; ssl_client_certificate ca.pem;";

    /// <summary>Directives; the client's certificate; what it hears behind the protocol's prefix, empty = it is let in; the log's reason.</summary>
    private static readonly (string Directives, string Certificate, string Line, string Reason)[] _cases =
    [
        (On, "good", "", ""),
        (On, "", "No required SSL certificate", "client sent no required SSL certificate"),
        (On, "self", "SSL certificate error", @"client SSL certificate verify error: \(18:self-signed certificate\)"),
        (On, "expired", "SSL certificate error", @"client SSL certificate verify error: \(10:certificate has expired\)"),
        (On + " ssl_crl crl.pem;", "revoked", "SSL certificate error", @"client SSL certificate verify error: \(23:certificate revoked\)"),
        (On + " ssl_verify_depth 0;", "deep", "SSL certificate error", @"client SSL certificate verify error: \((20|22):[^)]*\)"),
    ];

    public static TheoryData<MailProxy, string> Servers
    {
        get
        {
            var data = new TheoryData<MailProxy, string>();
            foreach (MailProxy proxy in (MailProxy[])[MailProxy.Nginx, MailProxy.Postern])
            {
                data.Add(proxy, "imap");
                data.Add(proxy, "pop3");
                data.Add(proxy, "smtp");
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Servers))]
    public async Task Refusal_OneLineThenCloseNotify_AndOneLogLine(MailProxy proxy, string protocol)
    {
        var wire = MailWire.Of(protocol);
        string common = $"protocol {protocol}; server_name mx.example.test; ";
        string[] servers = [.. _cases.SelectMany(c => (string[])[common + c.Directives, common + c.Directives + " starttls on;"])];
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, servers);
        for (int i = 0; i < _cases.Length; i++)
        {
            (_, string certificate, string line, string reason) = _cases[i];
            foreach (SslProtocols version in (SslProtocols[])[SslProtocols.Tls12, SslProtocols.Tls13])
            {
                using DirectClient direct = await DirectClient.ConnectTlsAsync(site.Port(2 * i), files, null, version, certificate);
                using DirectClient upgraded = await DirectClient.ConnectTlsAsync(site.Port((2 * i) + 1), files, wire, version, certificate);
                if (line.Length == 0)
                {
                    Assert.Equal(wire.Greeting, await direct.ReadLineAsync());
                    await upgraded.WriteAsync(wire.Quit.Command);
                    Assert.Equal(wire.Quit.Answer, await upgraded.ReadToEndAsync());
                    continue;
                }

                foreach (DirectClient client in (DirectClient[])[direct, upgraded])
                {
                    Assert.Equal(wire.Prefix + line + "\r\n", await client.ReadToEndAsync());
                    Assert.False(client.TcpEnded, "no close_notify");
                }
            }

            if (line.Length > 0)
            {
                string handshaking = $@"\[info\] .*\*\d+ {reason} while SSL handshaking, client: 127\.0\.0\.1, server: 127\.0\.0\.1:{site.Port(2 * i)}\n";
                string upgrading = $@"\[info\] .*\*\d+ {reason} while in starttls state, client: 127\.0\.0\.1 using starttls, server: 127\.0\.0\.1:{site.Port((2 * i) + 1)}\n";
                await Deadline.UntilAsync(
                    () => Regex.Count(site.Log, handshaking) == 2 && Regex.Count(site.Log, upgrading) == 2, () => reason + "\n" + site.Log);
            }
        }
    }

    /// <summary>TLS reference 5: the refused session is not kept; one in a ticket is, but the policy looks at every connection.</summary>
    [Theory]
    [InlineData(MailProxy.Nginx, "ssl_session_cache shared:S:1m;", "-tls1_2 -no_ticket", false)]
    [InlineData(MailProxy.Postern, "ssl_session_cache shared:S:1m;", "-tls1_2 -no_ticket", false)]
    [InlineData(MailProxy.Nginx, "ssl_session_cache builtin;", "-tls1_2 -no_ticket", false)]
    [InlineData(MailProxy.Postern, "ssl_session_cache builtin;", "-tls1_2 -no_ticket", false)]
    [InlineData(MailProxy.Nginx, "", "-tls1_2", true)]
    [InlineData(MailProxy.Postern, "", "-tls1_2", true)]
    public async Task Refused_ComesAgainWithItsSession_IsRefusedAgain(MailProxy proxy, string cache, string client, bool resumes)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, On + cache);
        string session = files.PathOf($"session-{Guid.NewGuid():N}");
        string certificate = $"-cert {files.PathOf("self.pem")} -key {files.PathOf("self.key")}";
        SClient first = await SClient.ConnectAsync(site.Port(), $"{client} {certificate} -sess_out {session}");
        Assert.Contains("* BYE SSL certificate error\n", first.Output, StringComparison.Ordinal);

        SClient second = await SClient.ConnectAsync(site.Port(), $"{client} {certificate} -sess_in {session}");

        Assert.True(second.Shaken, second.Output);
        Assert.Equal(resumes, second.Resumed);
        Assert.Contains("* BYE SSL certificate error\n", second.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("* OK", second.Output, StringComparison.Ordinal);
    }
}
