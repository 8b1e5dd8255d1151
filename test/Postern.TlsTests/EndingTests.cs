using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>Timers, what is no handshake, broken ones, and ends of connections (TLS reference 7 and 8).</summary>
public sealed class EndingTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string Plain = "starttls on; server_name mx.example.test;";

    public static TheoryData<MailProxy> Proxies => [MailProxy.Nginx, MailProxy.Postern];

    public static TheoryData<string> Protocols => ["imap", "pop3", "smtp"];

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task CloseNotify_ClientsFirst_NoneComesBackAndTcpEndsAtOnce(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");
        using DirectClient client = await DirectClient.ConnectTlsAsync(site.Port(), files);
        await client.ReadLineAsync();

        await client.SendCloseNotifyAsync();

        Assert.Equal("", await client.ReadRawToEndAsync());
        Assert.DoesNotMatch(@"\[(error|crit|alert)\]", site.Log);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task TcpEnd_WithoutCloseNotify_IsAnOrdinaryEnd(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");
        using DirectClient client = await DirectClient.ConnectTlsAsync(site.Port(), files);
        await client.ReadLineAsync();

        client.SendEnd();

        await client.ReadRawToEndAsync();
        Assert.DoesNotMatch(@"\[(error|crit|alert)\]|SSL_", site.Log);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task Relay_BackendClosesWithMuchPending_AllOfItThenCloseNotify(MailProxy proxy)
    {
        const int Bytes = 3_000_000;
        using var backend = new TcpListener(IPAddress.Loopback, 0);
        backend.Start();
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "protocol pop3;");
        site.Answer = $"Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {((IPEndPoint)backend.LocalEndpoint).Port}\r\n";
        using DirectClient client = await DirectClient.ConnectTlsAsync(site.Port(), files);
        await client.ReadLineAsync();
        await client.WriteAsync("USER u\r\n");
        await client.ReadLineAsync();
        await client.WriteAsync("PASS p\r\n");
        using (TcpClient connection = await backend.AcceptTcpClientAsync(TestContext.Current.CancellationToken))
        {
            using var reader = new StreamReader(connection.GetStream());
            foreach ((string say, string hear) in ((string, string)[])[("+OK\r\n", "USER u"), ("+OK\r\n", "PASS p")])
            {
                await connection.GetStream().WriteAsync(Text.Bytes(say), TestContext.Current.CancellationToken);
                Assert.Equal(hear, await reader.ReadLineAsync(TestContext.Current.CancellationToken));
            }

            await connection.GetStream().WriteAsync(Text.Bytes("+OK in\r\n"), TestContext.Current.CancellationToken);
            Assert.Equal("+OK in\r\n", await client.ReadLineAsync());
            await connection.GetStream().WriteAsync(new byte[Bytes], TestContext.Current.CancellationToken);
        }

        Assert.Equal(Bytes, (await client.ReadToEndAsync()).Length);
        Assert.False(client.TcpEnded, "no close_notify");
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task PeerLeaves_InHandshake_IsLoggedAResetWithItsErrno(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "", "starttls on;");
        using DirectClient direct = await DirectClient.ConnectAsync(site.Port());
        await direct.WriteRawAsync([0x16, 3, 1]);
        await ExpectLogAsync(site, "connected to 127\\.0\\.0\\.1:" + site.Port());
        direct.Reset();
        using DirectClient upgraded = await DirectClient.ConnectAsync(site.Port(1));
        await upgraded.ReadLineAsync();
        await upgraded.WriteAsync(MailWire.Imap.Upgrade);
        await upgraded.ReadLineAsync();
        await upgraded.WriteRawAsync([0x16, 3, 1]);
        upgraded.SendEnd();

        await ExpectLogAsync(site, @"\[info\] .*peer closed connection in SSL handshake \(104: Connection reset by peer\) while SSL handshaking, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+\n");
        await ExpectLogAsync(site, @"\[info\] .*peer closed connection in SSL handshake while in starttls state, client: 127\.0\.0\.1 using starttls, server: 127\.0\.0\.1:\d+\n");
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task ClientsAlert_InHandshake_IsLoggedAsInfo(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");

        SClient client = await SClient.ConnectAsync(site.Port(), "-verify_return_error -verify 1 -verifyCAfile " + files.PathOf("ca.pem"));

        Assert.Contains("certificate verify failed", client.Output, StringComparison.Ordinal);
        await ExpectLogAsync(site, @"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48\) while SSL handshaking, ");
    }

    [Theory]
    [InlineData(MailProxy.Nginx, false)]
    [InlineData(MailProxy.Postern, false)]
    [InlineData(MailProxy.Nginx, true)]
    [InlineData(MailProxy.Postern, true)]
    public async Task DamagedRecord_EndsTheSessionWithALineAtInfo(MailProxy proxy, bool upgrade)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, upgrade ? "starttls on;" : "");
        using DirectClient client = await DirectClient.ConnectTlsAsync(site.Port(), files, upgrade ? MailWire.Imap : null);
        if (!upgrade)
        {
            await client.ReadLineAsync();
        }

        await client.WriteRawAsync([0x17, 3, 3, 0, 32, .. new byte[32]]);

        await client.ReadRawToEndAsync();
        string starttls = upgrade ? " using starttls" : "";
        await ExpectLogAsync(site, $@"\[info\] .*SSL_read\(\) failed \(SSL: error:0A000119:SSL routines::decryption failed or bad record mac[^)]*\) while in auth state, client: 127\.0\.0\.1{starttls}, server: ");
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task ServersOwnFault_IsLoggedAsCritical(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "ssl_conf_command Protocol -TLSv1.2,-TLSv1.3;");

        SClient client = await SClient.ConnectAsync(site.Port(), "");

        Assert.Contains("SSL alert number 70", client.Output, StringComparison.Ordinal);
        await ExpectLogAsync(site, @"\[crit\] .*SSL_do_handshake\(\) failed \(SSL: error:0A0000BF:SSL routines::no protocols available\) while SSL handshaking, ");
    }

    /// <summary>A hello in the form of SSL 2.0 is understood, and refused by an alert.</summary>
    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task SslV2Hello_IsRefusedByAnAlert(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "");
        using DirectClient client = await DirectClient.ConnectAsync(site.Port());

        await client.WriteRawAsync([0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80, .. new byte[16]]);

        string answer = await client.ReadRawToEndAsync();
        Assert.Matches(@"^\x15\x03.\x00\x02\x02F$", answer);
        await ExpectLogAsync(site, @"\[info\] .*SSL_do_handshake\(\) failed \(SSL: error:[0-9A-F]{8}:SSL routines::(unknown|unsupported) protocol\) while SSL handshaking, ");
    }

    /// <summary>The client is told no_renegotiation, nothing is logged above info, others are served.</summary>
    [Theory]
    [InlineData(MailProxy.Nginx, "")]
    [InlineData(MailProxy.Postern, "")]
    [InlineData(MailProxy.Nginx, "-starttls imap")]
    [InlineData(MailProxy.Postern, "-starttls imap")]
    public async Task Renegotiation_IsRefused(MailProxy proxy, string upgrade)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, upgrade.Length > 0 ? "starttls on;" : "");

        // A line with nothing but R is s_client's order to begin a handshake.
        string command = $"(sleep 0.7; echo R; sleep 0.7) | openssl s_client -tls1_2 {upgrade} -connect 127.0.0.1:{site.Port()} 2>&1";
        (_, string output) = await RunningProcess.RunAsync("sh", ["-c", command]);

        Assert.Contains("RENEGOTIATING", output, StringComparison.Ordinal);
        Assert.Contains("no renegotiation", output, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"\[(warn|error|crit|alert)\]", site.Log);
        Assert.True((await SClient.ConnectAsync(site.Port(), upgrade)).Shaken);
    }

    /// <summary>The bytes of a ClientHello are commands, as far as line feeds occur in it: both programs give the same answers.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task TlsHello_ToClearTextListener_IsAnsweredAsCommandsWouldBe(string protocol)
    {
        byte[] hello = [0x16, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3, .. "random with\nline feeds\r\nin it here"u8, 0, 0, 4, 0x13, 1, 0x13, 2, 1, 0, 0, 11, 0, 10, 0, 4, 0, 2, 0, 29];
        List<string> answers = [];
        foreach (MailProxy proxy in (MailProxy[])[MailProxy.Nginx, MailProxy.Postern])
        {
            await using TlsSite site = await TlsSite.StartAsync(proxy, files, Plain + $" timeout 1s; protocol {protocol};");
            using DirectClient client = await DirectClient.ConnectAsync(site.Port());
            await client.ReadLineAsync();
            await client.WriteRawAsync(hello);

            // What comes behind the last line feed is waited for in vain.
            string answer = await client.ReadToEndAsync();
            Assert.Matches(@"^([^\r\n]*(BAD|-ERR|500 5\.5\.1) [Ii]nvalid command\r\n)+$", answer);
            answers.Add(answer);
        }

        Assert.Equal(answers[0], answers[1]);
    }

    [Theory]
    [MemberData(nameof(Proxies))]
    public async Task HandshakeTimer_BytesKeepComing_IsNotExtended(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "timeout 1s;");
        using DirectClient client = await DirectClient.ConnectAsync(site.Port());
        Task<string> answer = client.ReadRawToEndAsync();

        // A record of 255 bytes that never is complete. If bytes extended the timer, the end would not come.
        byte[] record = [0x16, 3, 1, 0, 255, .. new byte[100]];
        for (int i = 0; i < record.Length && !answer.IsCompleted; i++)
        {
            await client.WriteRawAsync([record[i]]);
            await Task.WhenAny(answer, Task.Delay(200, TestContext.Current.CancellationToken));
        }

        Assert.True(answer.IsCompleted);
        Assert.Equal("", await answer);
        if (proxy == MailProxy.Postern)
        {
            await ExpectLogAsync(site, @"\[info\] .*client timed out \(110: Connection timed out\) while SSL handshaking, client: 127\.0\.0\.1, server: ");
        }
    }

    /// <summary>The upgrade has a <c>timeout</c> of its own from the answer on, and its end is logged (nginx: silence).</summary>
    [Fact]
    public async Task StartTlsTimer_SilentClient_StartsWithTheAnswer()
    {
        await using TlsSite site = await TlsSite.StartAsync(MailProxy.Postern, files, "starttls on; timeout 2s;");
        using DirectClient client = await DirectClient.ConnectAsync(site.Port());
        await client.ReadLineAsync();
        await Task.Delay(1000, TestContext.Current.CancellationToken);
        await client.WriteAsync(MailWire.Imap.Upgrade);
        Assert.Equal(MailWire.Imap.GoAhead, await client.ReadLineAsync());
        long begin = Stopwatch.GetTimestamp();

        Assert.Equal("", await client.ReadToEndAsync());

        // The session's own timer would have ended it about a second after the answer.
        Assert.True(Stopwatch.GetElapsedTime(begin).TotalSeconds > 1.5);
        await ExpectLogAsync(site, @"\[info\] .*client timed out \(110: Connection timed out\) while in starttls state, client: 127\.0\.0\.1 using starttls, server: ");
    }

    [Theory]
    [InlineData(MailProxy.Nginx, "imap", "pop3")]
    [InlineData(MailProxy.Postern, "imap", "pop3")]
    [InlineData(MailProxy.Nginx, "pop3", "smtp")]
    [InlineData(MailProxy.Postern, "pop3", "smtp")]
    [InlineData(MailProxy.Nginx, "smtp", "imap")]
    [InlineData(MailProxy.Postern, "smtp", "imap")]
    public async Task Alpn_EachProtocolKnowsItsOwnName(MailProxy proxy, string protocol, string other)
    {
        string common = $"protocol {protocol}; ";
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, common, common + "starttls on;");
        foreach ((int port, string upgrade) in ((int, string)[])[(site.Port(), ""), (site.Port(1), "-starttls " + protocol)])
        {
            SClient own = await SClient.ConnectAsync(port, $"-alpn {other},{protocol} {upgrade}", @"QUIT\r\nz LOGOUT\r\n");
            Assert.Contains("ALPN protocol: " + protocol, own.Output, StringComparison.Ordinal);
            Assert.Contains("SSL alert number 120", (await SClient.ConnectAsync(port, $"-alpn {other} {upgrade}")).Output, StringComparison.Ordinal);
            Assert.True((await SClient.ConnectAsync(port, upgrade, @"QUIT\r\nz LOGOUT\r\n")).Shaken);
        }
    }

    private static Task ExpectLogAsync(TlsSite site, string pattern) => Deadline.UntilAsync(
        () => Regex.IsMatch(site.Log, pattern), () => $"no line like {pattern} in\n{site.Log}");
}
