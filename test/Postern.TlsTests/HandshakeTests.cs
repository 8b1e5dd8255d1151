using System.Diagnostics;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text.RegularExpressions;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>Versions, ciphers, groups, certificates, ends of connections, log lines (TLS reference 3, 7, 8, 11).</summary>
public sealed class HandshakeTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string Both = "ssl_certificate ec.pem; ssl_certificate server.pem; ssl_certificate_key ec.key; ssl_certificate_key server.key;";

    public static TheoryData<MailProxy> Proxies => [MailProxy.Nginx, MailProxy.Postern];

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Certificates_OfTwoTypes_ClientGetsTheOneItCanUse(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, Both);

        Assert.Contains("subject=CN = ec", (await SClient.ConnectAsync(site.Port(), "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256")).Output, StringComparison.Ordinal);
        Assert.Contains("subject=CN = server", (await SClient.ConnectAsync(site.Port(), "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256")).Output, StringComparison.Ordinal);
        Assert.Contains("subject=CN = ec", (await SClient.ConnectAsync(site.Port(), "-tls1_3 -sigalgs ecdsa_secp256r1_sha256")).Output, StringComparison.Ordinal);
        Assert.Contains("subject=CN = server", (await SClient.ConnectAsync(site.Port(), "-tls1_3 -sigalgs rsa_pss_rsae_sha256")).Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Protocols_Tls13Only_Tls12ClientGetsAlert70(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "", "ssl_protocols TLSv1.3;");

        SClient client = await SClient.ConnectAsync(site.Port(1), "-tls1_2");

        Assert.Contains("SSL alert number 70", client.Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task SeedExample_Tls12Client_IsServed(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers AES128-SHA:AES256-SHA:RC4-SHA:DES-CBC3-SHA:RC4-MD5; "
                + "ssl_session_cache shared:SSL:10m; ssl_session_timeout 10m;");

        SClient client = await SClient.ConnectAsync(site.Port(), "-tls1_2");

        Assert.Matches("New, [^\n]*Cipher is AES(128|256)-SHA\n", client.Output);
        Assert.Contains("z OK completed", client.Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task DhParameters_OnlyWhereConfigured_DheIsUsable(MailProxy proxy)
    {
        (_, string parameters) = await RunningProcess.RunAsync("openssl", ["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"]);
        File.WriteAllText(files.PathOf("dh.pem"), parameters);
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "", "ssl_dhparam dh.pem;");
        const string Dhe = "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256";

        Assert.Contains("SSL alert number 40", (await SClient.ConnectAsync(site.Port(), Dhe)).Output, StringComparison.Ordinal);
        Assert.Contains("Server Temp Key: DH, 2048 bits", (await SClient.ConnectAsync(site.Port(1), Dhe)).Output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task CurvesAndCommands_TakeEffect(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(
            proxy, files, "ssl_ecdh_curve secp384r1; ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;");

        SClient client = await SClient.ConnectAsync(site.Port(), "-tls1_3");

        Assert.Contains("Server Temp Key: ECDH, secp384r1, 384 bits", client.Output, StringComparison.Ordinal);
        Assert.Contains("Cipher is TLS_CHACHA20_POLY1305_SHA256", client.Output, StringComparison.Ordinal);
        Assert.False((await SClient.ConnectAsync(site.Port(), "-tls1_3 -groups X25519")).Shaken);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Ssl_On_EveryListenSpeaksTls(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "ssl on; # starttls would make the listener a plain one\n");

        Assert.True((await SClient.ConnectAsync(site.Port(), "")).Shaken);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Alpn_ForeignProtocolOnly_IsRefusedWithAlert120(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");

        Assert.Contains("ALPN protocol: imap", (await SClient.ConnectAsync(site.Port(), "-alpn http/1.1,imap")).Output, StringComparison.Ordinal);
        Assert.Contains("SSL alert number 120", (await SClient.ConnectAsync(site.Port(), "-alpn http/1.1")).Output, StringComparison.Ordinal);
        await ExpectLogAsync(site, @"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:0A0000EB:SSL routines::no application protocol\) while SSL handshaking, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+\n");
    }

    [Theory]
    [InlineData(MailProxy.Nginx, "hello, is this a mail server?\r\n", "wrong version number")]
    [InlineData(MailProxy.Postern, "hello, is this a mail server?\r\n", "wrong version number")]
    [InlineData(MailProxy.Nginx, "GET / HTTP/1.0\r\n\r\n", "http request")]
    [InlineData(MailProxy.Postern, "GET / HTTP/1.0\r\n\r\n", "http request")]
    public async Task ClearText_ToTlsListener_IsAnsweredByNothing(MailProxy proxy, string text, string reason)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");
        using var client = new TcpClient("127.0.0.1", site.Port());
        await client.GetStream().WriteAsync(Text.Bytes(text), TestContext.Current.CancellationToken);

        byte[] answer = new byte[100];
        int length;
        try
        {
            length = await Deadline.WithinAsync(stop => client.GetStream().ReadAsync(answer, stop).AsTask(), "the end of the connection");
        }
        catch (IOException)
        {
            // A reset: what we sent was not read to its end.
            length = 0;
        }

        Assert.Equal(0, length);
        await ExpectLogAsync(site, $@"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:[0-9A-F]{{8}}:SSL routines::{reason}\) while SSL handshaking");
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task AbortedHandshake_IsLoggedAsPeersClose(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");
        using (var client = new TcpClient("127.0.0.1", site.Port()))
        {
            await client.GetStream().WriteAsync(new byte[] { 0x16, 3, 1 }, TestContext.Current.CancellationToken);
        }

        await ExpectLogAsync(site, @"\[info\] .*peer closed connection in SSL handshake while SSL handshaking, client: 127\.0\.0\.1, server: ");
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task PipelinedClearText_BehindStartTls_IsNeverExecuted(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "starttls on;");
        using var client = new TcpClient("127.0.0.1", site.Port());
        using var reader = new StreamReader(client.GetStream());
        Assert.Equal("* OK IMAP4 ready", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        await client.GetStream().WriteAsync("a STARTTLS\r\nb NOOP\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal("a OK completed", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        await client.GetStream().WriteAsync("c NOOP and more\r\n"u8.ToArray(), TestContext.Current.CancellationToken);

        string rest;
        try
        {
            rest = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
        }
        catch (IOException)
        {
            rest = "";
        }

        Assert.Equal("", rest);
        await ExpectLogAsync(site, "SSL routines::wrong version number\\) while in starttls state, client: 127\\.0\\.0\\.1 using starttls, server: ");
    }

    [Theory]
    [InlineData(MailProxy.Nginx, false)]
    [InlineData(MailProxy.Postern, false)]
    [InlineData(MailProxy.Nginx, true)]
    [InlineData(MailProxy.Postern, true)]
    public async Task Logout_CloseNotifyThenEnd_AtOnceOrAfterThreeSeconds(MailProxy proxy, bool silent)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");
        using X509Certificate2 expected = X509CertificateLoader.LoadCertificateFromFile(files.PathOf("server.pem"));
        using var client = new TcpClient("127.0.0.1", site.Port());
        using var tls = new SslStream(client.GetStream(), leaveInnerStreamOpen: true);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "mx.example.test",
            RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.GetCertHashString() == expected.Thumbprint,
        };
        await tls.AuthenticateAsClientAsync(options, TestContext.Current.CancellationToken);
        await tls.WriteAsync("a LOGOUT\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        byte[] buffer = new byte[4096];
        string said = "";
        int n;

        // The stream ends by close_notify; without one it would be an exception.
        while ((n = await Deadline.WithinAsync(stop => tls.ReadAsync(buffer, stop).AsTask(), "close_notify")) > 0)
        {
            said += Text.Of(buffer.AsSpan(0, n));
        }

        Assert.Equal("* OK IMAP4 ready\r\n* BYE\r\na OK completed\r\n", said);
        long begin = Stopwatch.GetTimestamp();
        if (!silent)
        {
            await tls.ShutdownAsync();
        }

        Assert.Equal(0, await Deadline.WithinAsync(stop => client.GetStream().ReadAsync(buffer, stop).AsTask(), "the end of the connection"));
        double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        Assert.InRange(seconds, silent ? 2.5 : 0, silent ? 8 : 2);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task PasswordFile_OfTheSeedsExample_GlobalAndPerServer(MailProxy proxy)
    {
        (_, string encrypted) = await RunningProcess.RunAsync(
            "openssl", ["pkey", "-in", files.PathOf("server.key"), "-aes256", "-passout", "pass:inner"]);
        File.WriteAllText(files.PathOf("inner.key"), encrypted);
        (_, encrypted) = await RunningProcess.RunAsync(
            "openssl", ["pkey", "-in", files.PathOf("server.key"), "-aes256", "-passout", "pass:outer"]);
        File.WriteAllText(files.PathOf("outer.key"), encrypted);
        files.Write("global.pass", "wrong\n\nouter\n");
        files.Write("own.pass", "inner");
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "protocol imap; ssl_certificate server.pem; ssl_certificate_key outer.key; } ssl_password_file global.pass; server { listen 127.0.0.1:" + LoopbackPorts.Next() + "; protocol imap;",
            "ssl_certificate server.pem; ssl_certificate_key inner.key; ssl_password_file own.pass;");

        Assert.True((await SClient.ConnectAsync(site.Port(0), "")).Shaken);
        Assert.True((await SClient.ConnectAsync(site.Port(1), "")).Shaken);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task PasswordFile_NamedPipe_IsReadToItsEnd(MailProxy proxy)
    {
        (_, string encrypted) = await RunningProcess.RunAsync(
            "openssl", ["pkey", "-in", files.PathOf("server.key"), "-aes256", "-passout", "pass:piped"]);
        File.WriteAllText(files.PathOf("piped.key"), encrypted);
        string pipe = files.PathOf("pipe.fifo");
        await RunningProcess.RunAsync("mkfifo", [pipe]);
        await using RunningProcess writer = RunningProcess.Start("sh", ["-c", $"printf 'wrong\\npiped\\n' > '{pipe}'"]);
        string configuration = files.Write(
            "piped.conf",
            $"load_module /usr/lib/nginx/modules/ngx_mail_module.so; events {{ }} pid x.pid; mail {{ auth_http 127.0.0.1:1; "
                + $"server {{ listen 127.0.0.1:{LoopbackPorts.Next()} ssl; protocol imap; ssl_password_file {pipe}; ssl_certificate server.pem; ssl_certificate_key piped.key; }} }}");

        (int code, string output) = await RunningProcess.RunAsync(
            ProgramUnderTest.ExecutableOf(proxy), ["-t", "-p", files.Path + "/", "-e", "stderr", "-c", configuration]);
        File.Delete(pipe);

        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task StoreKey_File_IsLoaded()
    {
        await using TlsSite site = await TlsSite.StartAsync(
            MailProxy.Postern, files, $"ssl_certificate server.pem; ssl_certificate_key store:file:{files.PathOf("server.key")};");

        Assert.True((await SClient.ConnectAsync(site.Port(), "")).Shaken);
    }

    [Fact]
    public async Task Notices_ExpiringCertificateAndOpenKeyFile_AreInTheLogOnceAndNotOnStandardError()
    {
        File.SetUnixFileMode(files.PathOf("soon.key"), UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        await using TlsSite site = await TlsSite.StartAsync(
            MailProxy.Postern,
            files,
            "ssl_certificate soon.pem; ssl_certificate_key soon.key;",
            "ssl_certificate soon.pem; ssl_certificate_key soon.key;",
            "ssl_certificate over.pem; ssl_certificate_key over.key;",
            "");

        Assert.Single(Regex.Matches(site.Log, @"\[notice\] .*certificate ""[^""]*/soon\.pem"" expires in [45] days, at "));
        Assert.Single(Regex.Matches(site.Log, @"\[notice\] .*certificate ""[^""]*/over\.pem"" has expired at "));
        Assert.Single(Regex.Matches(site.Log, @"\[notice\] .*certificate key ""[^""]*/soon\.key"" can be read by others than its owner \(mode 0444\)"));
        Assert.DoesNotContain("/server.", site.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("nginx: [notice]", site.Log, StringComparison.Ordinal);
    }

    private static Task ExpectLogAsync(TlsSite site, string pattern) => Deadline.UntilAsync(
        () => Regex.IsMatch(site.Log, pattern), () => $"no line like {pattern} in\n{site.Log}");
}
