using System.Globalization;
using System.Text.RegularExpressions;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>What the directives do to handshakes: each claim of TLS reference 3 that another class does not show.</summary>
public sealed class SettingsTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string OldCiphers = "ssl_ciphers ALL:@SECLEVEL=0;";
    private const string OldClient = "-cipher ALL:@SECLEVEL=0";

    public static TheoryData<MailProxy> Proxies => [MailProxy.Nginx, MailProxy.Postern];

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Protocols_OldVersionsAndHoles(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "ssl_protocols TLSv1.1 TLSv1.3; " + OldCiphers,
            "ssl_protocols TLSv1; " + OldCiphers,
            "ssl_protocols TLSv1 TLSv1.2;");

        Assert.Contains("Protocol  : TLSv1.1\n", (await SClient.ConnectAsync(site.Port(), OldClient + " -no_tls1_3")).Output, StringComparison.Ordinal);
        Assert.Contains("New, TLSv1.3", (await SClient.ConnectAsync(site.Port(), OldClient)).Output, StringComparison.Ordinal);
        Assert.Contains("Protocol  : TLSv1\n", (await SClient.ConnectAsync(site.Port(1), OldClient)).Output, StringComparison.Ordinal);

        // At the default security level there is no signature TLS 1.0 could use.
        // OpenSSL 3.0 finds that out late, newer ones at once.
        Assert.Matches("SSL alert number (80|70)", (await SClient.ConnectAsync(site.Port(2), OldClient + " -tls1")).Output);
        await ExpectLogAsync(site, @"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:[0-9A-F]{8}:SSL routines::(no suitable signature algorithm|unsupported protocol)\) while SSL handshaking");
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task PreferServerCiphers_WhoseOrderDecides(MailProxy proxy)
    {
        const string Order = "ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256;";
        const string Other = "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            Order,
            Order + "ssl_prefer_server_ciphers on;",
            Order + "ssl_prefer_server_ciphers on; ssl_conf_command Options -ServerPreference;");

        Assert.Contains("Cipher is ECDHE-RSA-AES128", (await SClient.ConnectAsync(site.Port(0), Other)).Output, StringComparison.Ordinal);
        Assert.Contains("Cipher is ECDHE-RSA-AES256", (await SClient.ConnectAsync(site.Port(1), Other)).Output, StringComparison.Ordinal);
        Assert.Contains("Cipher is ECDHE-RSA-AES128", (await SClient.ConnectAsync(site.Port(2), Other)).Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Ciphers_LeaveTls13Alone(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "ssl_ciphers AES128-SHA:TLS_AES_128_GCM_SHA256;");

        Assert.Contains("Cipher is TLS_CHACHA20_POLY1305_SHA256", (await SClient.ConnectAsync(site.Port(), "-ciphersuites TLS_CHACHA20_POLY1305_SHA256")).Output, StringComparison.Ordinal);
        Assert.Contains("Cipher is AES128-SHA", (await SClient.ConnectAsync(site.Port(), "-tls1_2")).Output, StringComparison.Ordinal);
        Assert.False((await SClient.ConnectAsync(site.Port(), "-tls1_2 -cipher AES256-SHA")).Shaken);
    }

    /// <summary>Commands come last: they replace certificates and turn tickets on again. Relative names belong to the configuration.</summary>
    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task ConfCommands_OverrideEverything(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "ssl_session_tickets off; ssl_conf_command Certificate other.pem; ssl_conf_command PrivateKey other.key; ssl_conf_command Options SessionTicket;");

        SClient client = await SClient.ConnectAsync(site.Port(), "-tls1_2");

        Assert.Contains("subject=CN = other", client.Output, StringComparison.Ordinal);
        Assert.Contains("TLS session ticket:", client.Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Data_CertificateAndKey_AreServed(MailProxy proxy)
    {
        string certificate = await File.ReadAllTextAsync(files.PathOf("ec.pem"), TestContext.Current.CancellationToken);
        string key = await File.ReadAllTextAsync(files.PathOf("ec.key"), TestContext.Current.CancellationToken);
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, $"ssl_certificate \"data:{certificate}\"; ssl_certificate_key \"data:{key}\";");

        Assert.Contains("subject=CN = ec", (await SClient.ConnectAsync(site.Port(), "")).Output, StringComparison.Ordinal);
        if (proxy == MailProxy.Postern)
        {
            Assert.DoesNotContain(key.Split('\n')[1], site.Log, StringComparison.Ordinal);
        }
    }

    /// <summary>The chain is what the file holds, no more: neither client authorities nor anything looked up is added.</summary>
    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Chain_IsTheFilesContent(MailProxy proxy)
    {
        const string Ask = " ssl_verify_client optional; ssl_client_certificate ca.pem; ssl_trusted_certificate middle.pem;";
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "ssl_certificate good.pem; ssl_certificate_key good.key;" + Ask,
            "ssl_certificate deep.pem; ssl_certificate_key deep.key;" + Ask);

        Assert.Equal(1, Regex.Count((await SClient.ConnectAsync(site.Port(0), "-showcerts")).Output, "BEGIN CERTIFICATE"));
        Assert.Equal(2, Regex.Count((await SClient.ConnectAsync(site.Port(1), "-showcerts")).Output, "BEGIN CERTIFICATE"));
    }

    /// <summary>Each certificate keeps the chain of its own file, and one of the same type replaces an earlier one.</summary>
    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Chains_OfTwoTypes_EachKeepsItsOwn(MailProxy proxy)
    {
        foreach ((string leaf, string issuer) in ((string, string)[])[("ec", "middle"), ("server", "ca")])
        {
            files.Write(leaf + "-chain.pem", await ReadAsync(leaf + ".pem") + "\n" + await ReadAsync(issuer + ".pem"));
        }

        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "ssl_certificate other.pem; ssl_certificate_key other.key; ssl_certificate ec-chain.pem; ssl_certificate_key ec.key; "
                + "ssl_certificate server-chain.pem; ssl_certificate_key server.key;");

        foreach ((string algorithm, string leaf, string issuer) in ((string, string, string)[])[
            ("ecdsa_secp256r1_sha256", "CN = ec\n", "CN = Middle CA\n"), ("rsa_pss_rsae_sha256", "CN = server\n", "C = SE, O = Example Org, CN = Test Root CA\n")])
        {
            foreach (string version in (string[])["-tls1_2", "-tls1_3"])
            {
                string output = (await SClient.ConnectAsync(site.Port(), $"{version} -showcerts -sigalgs {algorithm}")).Output;
                Assert.Equal(2, Regex.Count(output, "BEGIN CERTIFICATE"));
                Assert.Contains(" 0 s:" + leaf, output, StringComparison.Ordinal);
                Assert.Contains(" 1 s:" + issuer, output, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>What the system's openssl.cnf says of versions does not narrow <c>ssl_protocols</c>.</summary>
    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Protocols_SystemConfigurationAllowsLess_TheDirectiveCounts(MailProxy proxy)
    {
        Environment.SetEnvironmentVariable("OPENSSL_CONF", files.Write(
            "system.cnf", "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = system\n[system]\nMinProtocol = TLSv1.3\nMaxProtocol = TLSv1.3\n"));
        TlsSite site;
        try
        {
            site = await TlsSite.StartAsync(proxy, files, "", "ssl_protocols TLSv1.2;");
        }
        finally
        {
            Environment.SetEnvironmentVariable("OPENSSL_CONF", null);
        }

        await using (site)
        {
            Assert.True((await SClient.ConnectAsync(site.Port(), "-tls1_2")).Shaken);
            Assert.True((await SClient.ConnectAsync(site.Port(), "-tls1_3")).Shaken);
            Assert.True((await SClient.ConnectAsync(site.Port(1), "")).Shaken);
        }
    }

    /// <summary>The name a client asks for is neither used nor acknowledged.</summary>
    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task ServerName_OfTheClient_ChangesNothing(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "", "server_name other; ssl_certificate other.pem; ssl_certificate_key other.key;");

        SClient client = await SClient.ConnectAsync(site.Port(), "-tls1_2 -servername other -tlsextdebug");

        Assert.Contains("subject=CN = server", client.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("TLS server extension \"server name\"", client.Output, StringComparison.Ordinal);
    }

    /// <summary>Half by half: a server with <c>builtin</c> under <c>shared</c> uses both, so its sessions are good at its neighbour's.</summary>
    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task SessionCache_InheritedByHalf(MailProxy proxy)
    {
        const string NoTickets = "ssl_session_tickets off;";
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "protocol imap; " + NoTickets + " } ssl_session_cache shared:S:1m; server { listen 127.0.0.1:" + LoopbackPorts.Next().ToString(CultureInfo.InvariantCulture) + "; protocol imap;",
            NoTickets + "ssl_session_cache builtin;",
            NoTickets + "ssl_session_cache none;");
        foreach ((int from, int to, bool expected) in ((int, int, bool)[])[(1, 0, true), (0, 1, true), (2, 0, false), (0, 2, false)])
        {
            string session = files.PathOf($"session-{Guid.NewGuid():N}");
            Assert.True((await SClient.ConnectAsync(site.Port(from), $"-tls1_2 -sess_out {session}")).Shaken);
            Assert.Equal(expected, (await SClient.ConnectAsync(site.Port(to), $"-tls1_2 -sess_in {session}")).Resumed);
        }
    }

    /// <summary>A resumed TLS 1.3 session gets one new ticket in place of the two of a full handshake.</summary>
    [Theory]
    [InlineData(MailProxy.Nginx, "")]
    [InlineData(MailProxy.Postern, "")]
    [InlineData(MailProxy.Nginx, "ssl_session_tickets off; ssl_session_cache shared:S:1m;")]
    [InlineData(MailProxy.Postern, "ssl_session_tickets off; ssl_session_cache shared:S:1m;")]
    public async Task Tickets_Tls13_TwoThenOne(MailProxy proxy, string directives)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, directives);
        string session = files.PathOf($"session-{Guid.NewGuid():N}");

        Assert.Equal(2, (await SClient.ConnectAsync(site.Port(), $"-tls1_3 -sess_out {session}")).Tickets);
        SClient resumed = await SClient.ConnectAsync(site.Port(), $"-tls1_3 -sess_in {session}");

        Assert.True(resumed.Resumed);
        Assert.Equal(1, resumed.Tickets);
    }

    /// <summary>Four loops, tickets off: whichever loop a connection lands on, it finds the session of another one.</summary>
    [Theory]
    [InlineData("-tls1_2 -no_ticket")]
    [InlineData("-tls1_3")]
    public async Task SharedCache_ManyLoops_AnyOfThemResumes(string client)
    {
        const string Mail = "mail { auth_http 127.0.0.1:1; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate server.pem; ssl_certificate_key server.key; server { protocol imap; listen 127.0.0.1:";
        int port = LoopbackPorts.Next();
        using var folder = new TemporaryFolder();
        foreach (string file in (string[])["server.pem", "server.key"])
        {
            File.Copy(files.PathOf(file), folder.File(file));
        }

        string mail = Mail + port.ToString(CultureInfo.InvariantCulture) + " ssl; ssl_session_tickets off; ssl_session_cache shared:S:1m; } }";
        await using ProgramUnderTest postern = await ProgramUnderTest.StartAsync(MailProxy.Postern, folder, mail, port, loops: 4);
        string session = files.PathOf($"session-{Guid.NewGuid():N}");
        Assert.False((await SClient.ConnectAsync(port, $"{client} -sess_out {session}")).Resumed);

        HashSet<string> loops = [];
        for (int i = 0; i < 16; i++)
        {
            Assert.True((await SClient.ConnectAsync(port, $"{client} -sess_in {session}")).Resumed);
        }

        // "PID#THREAD: *N client … connected": the thread is the loop.
        await Deadline.UntilAsync(() => Regex.Count(postern.Log, " connected to ") >= 17, () => postern.Log);
        foreach (Match match in Regex.Matches(postern.Log, @" \d+#(\d+): \*\d+ client "))
        {
            loops.Add(match.Groups[1].Value);
        }

        Assert.True(loops.Count > 1, "all connections came to one loop");
    }

    /// <summary>What the auth server is asked, in whole: each protocol, with and without a client certificate.</summary>
    [Theory]
    [InlineData("imap", "a LOGIN user pass\r\n", "")]
    [InlineData("imap", "a LOGIN user pass\r\n", "example")]
    [InlineData("pop3", "USER user\r\nPASS pass\r\n", "example")]
    [InlineData("smtp", "AUTH PLAIN AHVzZXIAcGFzcw==\r\n", "example")]
    public async Task AuthRequest_UnderTls_IsNginxs(string protocol, string login, string certificate)
    {
        List<string> requests = [];
        foreach (MailProxy proxy in (MailProxy[])[MailProxy.Nginx, MailProxy.Postern])
        {
            await using TlsSite site = await TlsSite.StartAsync(
                proxy,
                files,
                $"protocol {protocol}; ssl_verify_client optional; ssl_client_certificate ca.pem; auth_http_pass_client_cert on; auth_http_header X-Last one;");
            using DirectClient client = await DirectClient.ConnectTlsAsync(site.Port(), files, certificate: certificate);
            await client.ReadLineAsync();
            foreach (string line in login.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                await client.WriteAsync(line + "\n");
                if (line.StartsWith("USER", StringComparison.Ordinal))
                {
                    await client.ReadLineAsync();
                }
            }

            await Deadline.UntilAsync(() => site.Requests.Count == 1, () => site.Log);
            string request = Assert.Single(site.Requests);
            Assert.Contains("\r\nAuth-SSL: on\r\nAuth-SSL-Protocol: TLSv1.3\r\nAuth-SSL-Cipher: TLS_AES_256_GCM_SHA384\r\nAuth-SSL-Verify: ", request, StringComparison.Ordinal);

            // Not the same: the port, the version of HTTP, and a wish for the connection (docs/parity.md).
            requests.Add(Regex.Replace(request, @" HTTP/1\.[01]\r|Host: [^\r]*\r\n|Connection: [^\r]*\r\n", ""));
        }

        Assert.Equal(requests[0], requests[1]);
    }

    private Task<string> ReadAsync(string name) => File.ReadAllTextAsync(files.PathOf(name), TestContext.Current.CancellationToken);

    private static Task ExpectLogAsync(TlsSite site, string pattern) => Deadline.UntilAsync(
        () => Regex.IsMatch(site.Log, pattern), () => $"no line like {pattern} in\n{site.Log}");
}
