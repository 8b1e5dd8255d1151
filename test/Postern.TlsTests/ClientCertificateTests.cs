using System.Text.RegularExpressions;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>Client certificates: who is let in, what the others hear, what the auth server is told (TLS reference 3.12 to 3.14, 5, 6).</summary>
public sealed class ClientCertificateTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string VerifyError = "* BYE SSL certificate error";
    private const string Missing = "* BYE No required SSL certificate";
    private const string On = "ssl_verify_client on; ssl_client_certificate ca.pem;";
    private const string Optional = "ssl_verify_client optional; ssl_client_certificate ca.pem;";
    private const string NoCa = "ssl_verify_client optional_no_ca; ssl_client_certificate ca.pem;";

    public static TheoryData<MailProxy, string, string, string> Policies
    {
        get
        {
            var data = new TheoryData<MailProxy, string, string, string>();
            foreach (MailProxy proxy in (MailProxy[])[MailProxy.Nginx, MailProxy.Postern])
            {
                data.Add(proxy, On, "", Missing);
                data.Add(proxy, On, "good", "");
                data.Add(proxy, On, "self", VerifyError + "(18:self-signed certificate)");
                data.Add(proxy, On, "expired", VerifyError + "(10:certificate has expired)");
                data.Add(proxy, On, "deep", "");
                data.Add(proxy, On + " ssl_verify_depth 0;", "good", "");
                data.Add(proxy, On + " ssl_verify_depth 0;", "deep", VerifyError);
                data.Add(proxy, On + " ssl_crl crl.pem;", "good", "");
                data.Add(proxy, On + " ssl_crl crl.pem;", "revoked", VerifyError + "(23:certificate revoked)");
                data.Add(proxy, On + " ssl_crl other-crl.pem;", "revoked", "");
                data.Add(proxy, On + " ssl_crl crl.pem;", "deep", VerifyError + "(3:unable to get certificate CRL)");
                data.Add(proxy, On + " ssl_trusted_certificate self.pem;", "self", "");
                data.Add(proxy, Optional, "", "");
                data.Add(proxy, Optional, "good", "");
                data.Add(proxy, Optional, "self", VerifyError);
                data.Add(proxy, NoCa, "", "");
                data.Add(proxy, NoCa, "self", "");
                data.Add(proxy, NoCa, "expired", VerifyError);
                data.Add(proxy, "ssl_verify_client optional_no_ca;", "good", "");
                data.Add(proxy, "ssl_verify_client optional_no_ca; ssl_client_certificate middle.pem;", "deep", VerifyError + "(2:unable to get issuer certificate)");
                data.Add(proxy, NoCa + " ssl_crl crl.pem;", "revoked", VerifyError + "(23:certificate revoked)");
                data.Add(proxy, NoCa + " ssl_crl crl.pem;", "deep", VerifyError + "(3:unable to get certificate CRL)");
                data.Add(proxy, NoCa + " ssl_crl old-crl.pem;", "good", VerifyError + "(12:CRL has expired)");
                data.Add(proxy, "ssl_verify_client off;", "self", "");
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Policies))]
    public async Task Policy_Certificate_IsAcceptedOrRefused(MailProxy proxy, string directives, string certificate, string refusal)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, directives, directives + " starttls on;");
        foreach (string version in (string[])["-tls1_2", "-tls1_3"])
        {
            SClient client = await SClient.ConnectAsync(site.Port(), $"{version} {Certificate(certificate)}");
            SClient upgraded = await SClient.ConnectAsync(site.Port(1), $"{version} -starttls imap {Certificate(certificate)}");
            Assert.True(client.Shaken && upgraded.Shaken, client.Output);
            if (refusal.Length == 0)
            {
                Assert.Contains("* OK IMAP4 ready", client.Output, StringComparison.Ordinal);
                Assert.Contains("z OK completed", upgraded.Output, StringComparison.Ordinal);
                continue;
            }

            string line = refusal.Split('(')[0];
            Assert.Contains(line + "\n", client.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("* OK", client.Output, StringComparison.Ordinal);
            Assert.Contains(line + "\n", upgraded.Output, StringComparison.Ordinal);
            string reason = refusal == Missing ? "client sent no required SSL certificate" : $"client SSL certificate verify error: ({refusal.Split('(').ElementAtOrDefault(1)}";
            await Deadline.UntilAsync(
                () => Regex.IsMatch(site.Log, $@"\[info\] .*{Regex.Escape(reason)}.* while SSL handshaking, client: 127\.0\.0\.1, server: 127\.0\.0\.1:{site.Port()}\n")
                    && Regex.IsMatch(site.Log, $@"\[info\] .*{Regex.Escape(reason)}.* while in starttls state, client: 127\.0\.0\.1 using starttls, server: 127\.0\.0\.1:{site.Port(1)}\n"),
                () => reason + "\n" + site.Log);
        }
    }

    [Theory]
    [InlineData(MailProxy.Nginx)]
    [InlineData(MailProxy.Postern)]
    public async Task Request_NamesSentToClients_AreThoseOfTheClientCertificateFileOnly(MailProxy proxy)
    {
        string middle = await File.ReadAllTextAsync(files.PathOf("middle.pem"), TestContext.Current.CancellationToken);
        string ca = await File.ReadAllTextAsync(files.PathOf("ca.pem"), TestContext.Current.CancellationToken);
        files.Write("authorities.pem", string.Join('\n', middle, ca, middle));
        await using TlsSite site = await TlsSite.StartAsync(
            proxy, files, "ssl_verify_client optional; ssl_client_certificate authorities.pem; ssl_trusted_certificate self.pem;");

        foreach (string version in (string[])["-tls1_2", "-tls1_3"])
        {
            SClient client = await SClient.ConnectAsync(site.Port(), version);

            // In the file's order, each once.
            Assert.Contains(
                "Acceptable client certificate CA names\nCN = Middle CA\nC = SE, O = Example Org, CN = Test Root CA\n", client.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("CN = self", client.Output, StringComparison.Ordinal);
            Assert.Equal(1, Regex.Count(client.Output, "CN = Middle CA"));
        }
    }

    /// <summary>Names with every kind of escape, serial numbers of every form, a chain of which the leaf alone is passed on.</summary>
    [Fact]
    public async Task AuthHeaders_UnusualCertificates_AreNginxs()
    {
        (string Serial, string Subject)[] unusual =
        [
            ("0x0F", "/C=SE/O=Two+OU=In One/CN= lead and trail "),
            ("-0x0F", "/DC=org/DC=example/UID=u/CN=a,b;c\\+d"),
            ("0", "/CN=#hash"),
            ("0x80", "/CN=tab\there"),
        ];
        for (int i = 0; i < unusual.Length; i++)
        {
            await MakeAsync($"unusual{i}", unusual[i].Serial, unusual[i].Subject);
        }

        List<List<string>> told = [];
        foreach (MailProxy proxy in (MailProxy[])[MailProxy.Nginx, MailProxy.Postern])
        {
            List<string> headers = [];
            await using TlsSite site = await TlsSite.StartAsync(proxy, files, "ssl_verify_client optional_no_ca; auth_http_pass_client_cert on;");
            for (int i = 0; i < unusual.Length; i++)
            {
                await LoginAsync(site, Certificate($"unusual{i}"));
            }

            await LoginAsync(site, Certificate("deep"));
            await LoginAsync(site, Certificate("good"));
            headers.AddRange(site.Requests.Select(CertificateLines));
            told.Add(headers);
        }

        Assert.Equal(told[0], told[1]);
        Assert.Contains("Auth-SSL-Serial: 0F\n", told[1][0], StringComparison.Ordinal);
        Assert.Contains("Auth-SSL-Serial: -0F\n", told[1][1], StringComparison.Ordinal);
        Assert.Contains("Auth-SSL-Serial: 00\n", told[1][2], StringComparison.Ordinal);
        Assert.Contains("Auth-SSL-Serial: 80\n", told[1][3], StringComparison.Ordinal);
        Assert.Contains("Auth-SSL-Subject: CN=\\#hash\n", told[1][2], StringComparison.Ordinal);
        Assert.Contains("Auth-SSL-Subject: CN=tab\\09here\n", told[1][3], StringComparison.Ordinal);
        Assert.StartsWith("Auth-SSL-Verify: FAILED:unable to get local issuer certificate\n", told[1][4], StringComparison.Ordinal);
        Assert.Equal(1, Regex.Count(told[1][4], "BEGIN%20CERTIFICATE"));
        Assert.StartsWith("Auth-SSL-Verify: FAILED:unable to verify the first certificate\n", told[1][5], StringComparison.Ordinal);
    }

    /// <summary>A serial number so long that OpenSSL's printer would break it into lines, and with it the header.</summary>
    [Fact]
    public async Task AuthHeaders_EndlessSerial_IsOneLine()
    {
        string digits = string.Concat(Enumerable.Repeat("1A2B3C4D", 15));
        await MakeAsync("endless", "0x" + digits, "/CN=endless");
        await using TlsSite site = await TlsSite.StartAsync(MailProxy.Postern, files, "ssl_verify_client optional_no_ca;");

        await LoginAsync(site, Certificate("endless"));

        Assert.Contains($"\nAuth-SSL-Serial: {digits}\n", CertificateLines(Assert.Single(site.Requests)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(MailProxy.Nginx, "-tls1_2")]
    [InlineData(MailProxy.Nginx, "-tls1_3")]
    [InlineData(MailProxy.Postern, "-tls1_2")]
    [InlineData(MailProxy.Postern, "-tls1_3")]
    public async Task AuthHeaders_ExampleCertificate_ByteForByteAndAgainWhenResumed(MailProxy proxy, string version)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, On + " auth_http_pass_client_cert on;");
        string session = files.PathOf($"session-{Guid.NewGuid():N}");
        await LoginAsync(site, $"{version} {Certificate("example")} -sess_out {session}");
        SClient resumed = await LoginAsync(site, $"{version} {Certificate("example")} -sess_in {session}");
        Assert.True(resumed.Resumed, resumed.Output);

        string pem = (await File.ReadAllTextAsync(files.PathOf("example.pem"), TestContext.Current.CancellationToken)).TrimEnd('\n') + "\n";
        (_, string fingerprint) = await RunningProcess.RunAsync(
            "openssl", ["x509", "-in", files.PathOf("example.pem"), "-noout", "-fingerprint", "-sha1"]);
        string expected = $"""
            Auth-SSL-Verify: SUCCESS
            Auth-SSL-Subject: emailAddress=asa@example.com,CN=\C3\85sa \"Q\" \<x\>\; #1,OU=R\+D,O=Example\, Inc.,ST=Sk\C3\A5ne,C=SE
            Auth-SSL-Issuer: CN=Test Root CA,O=Example Org,C=SE
            Auth-SSL-Serial: A1B2C3D4E5F60718
            Auth-SSL-Fingerprint: {fingerprint.Trim().Split('=')[1].Replace(":", "", StringComparison.Ordinal).ToLowerInvariant()}
            Auth-SSL-Cert: {pem.Replace(" ", "%20", StringComparison.Ordinal).Replace("\n", "%0A", StringComparison.Ordinal)}
            """;
        Assert.Equal(2, site.Requests.Count);
        Assert.All(site.Requests, request => Assert.Equal(Canonical(expected), Canonical(CertificateLines(request))));
    }

    [Theory]
    [InlineData(MailProxy.Nginx, Optional, "", "Auth-SSL-Verify: NONE")]
    [InlineData(MailProxy.Postern, Optional, "", "Auth-SSL-Verify: NONE")]
    [InlineData(MailProxy.Nginx, NoCa, "self", "Auth-SSL-Verify: FAILED:self-signed certificate\nAuth-SSL-Subject: CN=self\nAuth-SSL-Issuer: CN=self\n*")]
    [InlineData(MailProxy.Postern, NoCa, "self", "Auth-SSL-Verify: FAILED:self-signed certificate\nAuth-SSL-Subject: CN=self\nAuth-SSL-Issuer: CN=self\n*")]
    [InlineData(MailProxy.Nginx, "ssl_verify_client off; ssl_client_certificate ca.pem;", "good", "")]
    [InlineData(MailProxy.Postern, "ssl_verify_client off; ssl_client_certificate ca.pem;", "good", "")]
    public async Task AuthHeaders_OtherClients_AreToldAsTheyAre(MailProxy proxy, string directives, string certificate, string expected)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, directives);

        await LoginAsync(site, Certificate(certificate));

        string lines = CertificateLines(Assert.Single(site.Requests));
        Assert.DoesNotContain("Auth-SSL-Cert:", lines, StringComparison.Ordinal);
        if (expected.EndsWith('*'))
        {
            Assert.StartsWith(expected[..^1], lines, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal(expected, lines);
        }
    }

    /// <summary>A certificate that signed itself, with the names and numbers openssl(1) is told.</summary>
    private async Task MakeAsync(string name, string serial, string subject)
    {
        (int code, string output) = await RunningProcess.RunAsync(
            "openssl",
            ["req", "-x509", "-new", "-key", files.PathOf("ec.key"), "-multivalue-rdn", "-set_serial", serial, "-subj", subject, "-days", "10", "-out", files.PathOf(name + ".pem")]);
        Assert.True(code == 0, output);
        File.Copy(files.PathOf("ec.key"), files.PathOf(name + ".key"), overwrite: true);
    }

    private static async Task<SClient> LoginAsync(TlsSite site, string arguments)
    {
        int before = site.Requests.Count;
        SClient client = await SClient.ConnectAsync(site.Port(), arguments, @"a LOGIN user pass\r\n");
        await Deadline.UntilAsync(() => site.Requests.Count > before, () => client.Output);
        return client;
    }

    /// <summary>nginx 1.22.1 knows neither Auth-SSL-Protocol before nor anything behind these lines.</summary>
    private static string CertificateLines(string request) => string.Join('\n', request.Split("\r\n").Where(line =>
        line.StartsWith("Auth-SSL-", StringComparison.Ordinal)
        && !line.StartsWith("Auth-SSL-Protocol", StringComparison.Ordinal)
        && !line.StartsWith("Auth-SSL-Cipher", StringComparison.Ordinal)));

    private static string Canonical(string text) => text.Replace("\r", "", StringComparison.Ordinal);

    private string Certificate(string name) => name switch
    {
        "" => "",
        "deep" => $"-cert {files.PathOf("deep.pem")} -cert_chain {files.PathOf("middle.pem")} -key {files.PathOf("deep.key")}",
        _ => $"-cert {files.PathOf(name + ".pem")} -key {files.PathOf(name + ".key")}",
    };
}
