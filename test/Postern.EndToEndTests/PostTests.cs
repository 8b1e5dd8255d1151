using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using MailKit;
using MailKit.Net.Imap;
using MailKit.Net.Pop3;
using MailKit.Net.Smtp;
using MailKit.Security;
using MimeKit;
using Postern.TestKit;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>
/// Mail sent by clients nobody here wrote, through the proxy to a real Postfix, and read again through the proxy from a real Dovecot by POP3
/// and IMAP; each over TLS from the first byte and over STARTTLS.
/// </summary>
public sealed class PostTests(PostSite site) : IClassFixture<PostSite>
{
    private static readonly TimeSpan _clientLimit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("tls")]
    [InlineData("starttls")]
    public async Task Python_SmtplibAndPoplib_WholeSessions(string mode)
    {
        string user = PostSite.NewUser();
        string script = Path.Combine(AppContext.BaseDirectory, "Clients", "smtplib_poplib_session.py");

        (int exitCode, string output) = await RunningProcess.RunAsync(
            "python3", [script, SmtpPort(mode), Pop3Port(mode), mode, user, PostSite.Password], _clientLimit);

        Assert.True(exitCode == 0, output + site.ProxyLog);
        Assert.Equal("done", output.Trim());
        AssertPostfixKnows($"client={PostSite.ClientName}[{PostSite.NamedClient}], sasl_method=XCLIENT, sasl_username={user}");
        Assert.Contains(site.Logins, login => login.User == user && login.Protocol == "pop3" && login.Method == "apop" && login.Accepted);
    }

    [Theory]
    [InlineData("tls", "PLAIN", "USER")]
    [InlineData("starttls", "LOGIN", "PLAIN")]
    [InlineData("tls", "CRAM-MD5", "CRAM-MD5")]
    [InlineData("starttls", "PLAIN", "APOP")]
    public async Task MailKit_SendsAndReads(string mode, string smtpMechanism, string pop3Mechanism)
    {
        string user = PostSite.NewUser();
        CancellationToken stop = TestContext.Current.CancellationToken;
        var message = new MimeMessage { Subject = "Grüße" };
        message.From.Add(new MailboxAddress("Alice", "alice@example.test"));
        message.To.Add(new MailboxAddress("", user));
        message.Body = new TextPart("plain") { Text = string.Concat(Enumerable.Repeat("some text\r\n.\r\n", 5000)) };
        using (var client = new SmtpClient { Timeout = (int)_clientLimit.TotalMilliseconds })
        {
            Trust(client);
            await client.ConnectAsync("127.0.0.1", Number(SmtpPort(mode)), How(mode), stop);
            await client.AuthenticateAsync(Sasl(smtpMechanism, user), stop);
            await client.SendAsync(message, stop);
            await client.DisconnectAsync(quit: true, stop);
        }

        using Pop3Client reader = await OpenPop3Async(mode, pop3Mechanism, user, stop);
        MimeMessage read = await reader.GetMessageAsync(0, stop);
        await reader.DisconnectAsync(quit: true, stop);

        Assert.Equal("Grüße", read.Subject);
        Assert.Equal(message.TextBody, read.TextBody);
        AssertPostfixKnows($"client=unknown[127.0.0.1], sasl_method=XCLIENT, sasl_username={user}");
        string method = pop3Mechanism switch { "APOP" => "apop", "CRAM-MD5" => "cram-md5", _ => "plain" };
        Assert.Contains(site.Logins, login => login.User == user && login.Protocol == "pop3" && login.Method == method && login.Accepted);
    }

    [Theory]
    [InlineData("tls")]
    [InlineData("starttls")]
    public async Task Swaks_Sends_ImapShowsIt(string mode)
    {
        string user = PostSite.NewUser();
        (int sent, string output) = await RunningProcess.RunAsync(
            "swaks",
            [
                "--server", "127.0.0.1", "--port", SmtpPort(mode), mode == "tls" ? "--tls-on-connect" : "-tls", "--local-interface", PostSite.NamedClient,
                "--helo", "swaks.example.test", "--auth", "LOGIN", "--auth-user", user, "--auth-password", PostSite.Password,
                "--from", "swaks@example.test", "--to", user, "--header", "Subject: by swaks", "--body", "text of swaks", "--pipeline",
            ],
            _clientLimit);
        Assert.True(sent == 0, output);

        MimeMessage read = await ReadByImapAsync(user);

        Assert.Equal("by swaks", read.Subject);
        Assert.Equal("text of swaks", read.TextBody?.Trim());
        Assert.Contains(
            $"from swaks.example.test ({PostSite.ClientName} [{PostSite.NamedClient}])",
            read.Headers.Last(header => header.Id == HeaderId.Received).Value,
            StringComparison.Ordinal);
        AssertPostfixKnows($"client={PostSite.ClientName}[{PostSite.NamedClient}], sasl_method=XCLIENT, sasl_username={user}");
    }

    [Fact]
    public async Task Swaks_WrongPassword_IsRefused()
    {
        string user = PostSite.NewUser();
        (int sent, string output) = await RunningProcess.RunAsync(
            "swaks",
            [
                "--server", "127.0.0.1", "--port", SmtpPort("tls"), "--tls-on-connect", "--auth", "PLAIN",
                "--auth-user", user, "--auth-password", "wrong", "--from", "swaks@example.test", "--to", user,
            ],
            _clientLimit);

        Assert.True(sent != 0, output);
        Assert.Contains("535 5.7.0 Invalid login or password", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tls")]
    [InlineData("starttls")]
    public async Task Msmtp_Sends_FetchmailFetches(string mode)
    {
        string user = PostSite.NewUser();
        using var folder = new TemporaryFolder();
        string received = folder.File("received");
        string message = folder.Write("message", $"From: msmtp@example.test\nTo: {user}\nSubject: by msmtp\n\n.dot\ntext of msmtp\n");
        string msmtprc = folder.Write("msmtprc", $"""
            account default
            host 127.0.0.1
            port {SmtpPort(mode)}
            tls on
            tls_starttls {(mode == "tls" ? "off" : "on")}
            tls_certcheck off
            auth plain
            user {user}
            passwordeval cat {folder.Write("password", PostSite.Password + "\n")}
            from msmtp@example.test
            domain msmtp.example.test
            source_ip {PostSite.NamedClient}

            """);
        string fetchmailrc = folder.Write("fetchmailrc", $"""
            poll 127.0.0.1 service {Pop3Port(mode)} protocol POP3 timeout 30
              user "{user}" password '{PostSite.Password}'
              {(mode == "tls" ? "ssl" : "")} sslproto "TLS1.2+" no sslcertck
              mda "/bin/sh -c 'cat >> {received}'" fetchall

            """);
        const UnixFileMode ownersOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        File.SetUnixFileMode(msmtprc, ownersOnly);
        File.SetUnixFileMode(fetchmailrc, ownersOnly);

        (int sent, string sending) = await RunningProcess.RunAsync("bash", ["-c", $"msmtp -C '{msmtprc}' '{user}' < '{message}'"], _clientLimit);
        Assert.True(sent == 0, sending);
        await WaitForMailAsync(user);
        (int fetched, string fetching) = await RunningProcess.RunAsync(
            "fetchmail",
            ["-f", fetchmailrc, "--pidfile", folder.File("pid"), "--idfile", folder.File("ids")],
            _clientLimit,
            environment: new Dictionary<string, string> { ["FETCHMAILHOME"] = folder.Path, ["LC_ALL"] = "C" });

        Assert.True(fetched == 0, fetching);
        string text = (await File.ReadAllTextAsync(received, TestContext.Current.CancellationToken)).ReplaceLineEndings("\n");
        Assert.Contains("\nSubject: by msmtp\n", text, StringComparison.Ordinal);
        Assert.Contains("\n.dot\ntext of msmtp\n", text, StringComparison.Ordinal);
        AssertPostfixKnows($"client={PostSite.ClientName}[{PostSite.NamedClient}], sasl_method=XCLIENT, sasl_username={user}");
    }

    [Theory]
    [InlineData("tls")]
    [InlineData("starttls")]
    public async Task Curl_TenMegabytes_ArriveByPop3(string mode)
    {
        string user = PostSite.NewUser();
        using var folder = new TemporaryFolder();
        string line = string.Concat(Enumerable.Repeat("0123456789", 7));
        string body = string.Concat(Enumerable.Range(0, 140_000).Select(i => $"{line}{i:x6}\r\n"));
        string message = folder.Write("message", "Subject: large\r\n\r\n" + body);
        string[] common =
        [
            "--silent", "--show-error", "--insecure", "--max-time", "50", .. mode == "starttls" ? ["--ssl-reqd"] : Array.Empty<string>(),
            "--user", $"{user}:{PostSite.Password}",
        ];
        string ending = mode == "tls" ? "s" : "";

        (int sent, string sending) = await RunningProcess.RunAsync(
            "curl",
            [.. common, "--mail-from", "a@example.test", "--mail-rcpt", user, "--upload-file", message, $"smtp{ending}://127.0.0.1:{SmtpPort(mode)}/curl.example.test"],
            _clientLimit);
        Assert.True(sent == 0, sending);
        await WaitForMailAsync(user);
        (int fetched, string fetching) = await RunningProcess.RunAsync(
            "curl", [.. common, "--output", folder.File("received"), $"pop3{ending}://127.0.0.1:{Pop3Port(mode)}/1"], _clientLimit);
        Assert.True(fetched == 0, fetching);

        string received = await File.ReadAllTextAsync(folder.File("received"), Encoding.Latin1, TestContext.Current.CancellationToken);
        Assert.Contains("Received: from curl.example.test (unknown [127.0.0.1])", received, StringComparison.Ordinal);
        Assert.Equal(Hash(body), Hash(received[(received.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..].TrimEnd('\r', '\n') + "\r\n"));
    }

    [Fact]
    public async Task ProxySmtpAuth_Postfix_SeesTheClientsOwnSignIn()
    {
        string user = PostSite.NewUser();
        (int sent, string output) = await RunningProcess.RunAsync(
            "swaks",
            [
                "--server", "127.0.0.1", "--port", $"{site.ProxiedAuth}", "--tls-on-connect", "--auth", "PLAIN", "--auth-user", user,
                "--auth-password", PostSite.Password, "--from", "swaks@example.test", "--to", user, "--header", "Subject: signed in",
            ],
            _clientLimit);
        Assert.True(sent == 0, output);

        Assert.Equal("signed in", (await ReadByImapAsync(user)).Subject);
        AssertPostfixKnows($"sasl_method=PLAIN, sasl_username={user}");
    }

    [Theory]
    [InlineData("127.0.0.2", PostSite.ClientName)]
    [InlineData("127.0.0.3", "unknown")]
    public async Task MailWithoutSignIn_Postfix_SeesTheClient(string address, string name)
    {
        string user = PostSite.NewUser();
        (int sent, string output) = await RunningProcess.RunAsync(
            "swaks",
            [
                "--server", "127.0.0.1", "--port", $"{site.Smtp}", "--local-interface", address, "-tls", "--pipeline",
                "--from", "sender@elsewhere.test", "--to", user, "--header", "Subject: from outside",
            ],
            _clientLimit);
        Assert.True(sent == 0, output);

        Assert.Equal("from outside", (await ReadByImapAsync(user)).Subject);
        AssertPostfixKnows($"client={name}[{address}]\n");
    }

    [Fact]
    public async Task MailWithoutSignIn_RecipientPostfixDoesNotKnow_IsRefusedInItsWords()
    {
        await using ScriptedConnection client = await ScriptedConnection.ConnectAsync(site.Smtp);
        Assert.Equal("220 mx.example.test ESMTP ready\r\n", await client.ReadLineAsync());
        await client.WriteAsync($"HELO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<{PostSite.UnknownToPostfix}>\r\nRCPT TO:<{PostSite.NewUser()}>\r\nQUIT\r\n");
        Assert.Equal("250 mx.example.test\r\n", await client.ReadLineAsync());
        Assert.Equal("250 2.0.0 OK\r\n", await client.ReadLineAsync());
        Assert.StartsWith($"550 5.1.1 <{PostSite.UnknownToPostfix}>", await client.ReadLineAsync(), StringComparison.Ordinal);

        // From here on the client talks to Postfix.
        Assert.Equal("250 2.1.5 Ok\r\n", await client.ReadLineAsync());
        Assert.Equal("221 2.0.0 Bye\r\n", await client.ReadLineAsync());
    }

    private void AssertPostfixKnows(string text) =>
        Assert.Contains(text, site.PostfixLog, StringComparison.Ordinal);

    /// <summary>Postfix delivers in its own time.</summary>
    private Task WaitForMailAsync(string user) => Deadline.UntilAsync(
        () => site.PostfixLog.Split('\n').Any(line => line.Contains($"to=<{user}>", StringComparison.Ordinal) && line.Contains("status=sent", StringComparison.Ordinal)),
        () => $"mail for {user} was not delivered:\n{site.PostfixLog}\n{site.DovecotLog}",
        _clientLimit);

    private async Task<MimeMessage> ReadByImapAsync(string user)
    {
        await WaitForMailAsync(user);
        CancellationToken stop = TestContext.Current.CancellationToken;
        using var client = new ImapClient { Timeout = (int)_clientLimit.TotalMilliseconds };
        Trust(client);
        await client.ConnectAsync("127.0.0.1", site.Imaps, SecureSocketOptions.SslOnConnect, stop);
        await client.AuthenticateAsync(Sasl("PLAIN", user), stop);
        await client.Inbox.OpenAsync(FolderAccess.ReadOnly, stop);
        MimeMessage message = await client.Inbox.GetMessageAsync(0, stop);
        await client.DisconnectAsync(quit: true, stop);
        return message;
    }

    private async Task<Pop3Client> OpenPop3Async(string mode, string mechanism, string user, CancellationToken stop)
    {
        await WaitForMailAsync(user);
        var client = new Pop3Client { Timeout = (int)_clientLimit.TotalMilliseconds };
        try
        {
            Trust(client);
            await client.ConnectAsync("127.0.0.1", Number(Pop3Port(mode)), How(mode), stop);
            if (mechanism is "USER" or "APOP")
            {
                // MailKit takes APOP where the greeting offers it, USER where nothing else is left.
                client.AuthenticationMechanisms.Clear();
                client.Capabilities = mechanism == "USER" ? client.Capabilities & ~Pop3Capabilities.Apop : client.Capabilities;
                await client.AuthenticateAsync(Encoding.UTF8, user, PostSite.Password, stop);
            }
            else
            {
                await client.AuthenticateAsync(Sasl(mechanism, user), stop);
            }

            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static SaslMechanism Sasl(string mechanism, string user) => mechanism switch
    {
        "LOGIN" => new SaslMechanismLogin(user, PostSite.Password),
        "CRAM-MD5" => new SaslMechanismCramMd5(user, PostSite.Password),
        _ => new SaslMechanismPlain(user, PostSite.Password),
    };

#pragma warning disable CA5359 // the tests' certificate is made up
    private static void Trust(MailService client) => client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359

    private string SmtpPort(string mode) => (mode == "tls" ? site.Smtps : site.Submission).ToString(CultureInfo.InvariantCulture);

    private string Pop3Port(string mode) => (mode == "tls" ? site.Pop3s : site.Pop3).ToString(CultureInfo.InvariantCulture);

    private static int Number(string port) => int.Parse(port, CultureInfo.InvariantCulture);

    private static SecureSocketOptions How(string mode) => mode == "tls" ? SecureSocketOptions.SslOnConnect : SecureSocketOptions.StartTls;

    private static string Hash(string text) => Convert.ToHexString(SHA256.HashData(Encoding.Latin1.GetBytes(text)));
}
