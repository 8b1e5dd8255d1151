using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using MailKit;
using MailKit.Net.Imap;
using MailKit.Search;
using MailKit.Security;
using MimeKit;
using Postern.Demo;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>Clients nobody here wrote, through the proxy, to a real Dovecot; each over TLS from the first byte and over STARTTLS.</summary>
public sealed class ClientTests(MailSite site)
{
    private static readonly TimeSpan _clientLimit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("tls")]
    [InlineData("starttls")]
    public async Task PythonImaplib_WholeSession_Works(string mode)
    {
        string user = MailSite.NewUser();
        string script = Path.Combine(AppContext.BaseDirectory, "Clients", "imaplib_session.py");

        (int exitCode, string output) = await RunningProcess.RunAsync("python3", [script, Port(mode), mode, user, MailSite.Password], _clientLimit);

        Assert.True(exitCode == 0, output);
        Assert.Equal("done", output.Trim());
        DemoLogin[] logins = [.. site.Logins.Where(login => login.User == user)];
        Assert.Equal([false, true], logins.Select(login => login.Accepted));
        Assert.Equal([1, 2], logins.Select(login => login.Attempt));
        Assert.All(logins, login => Assert.StartsWith("TLSv1.", login.TlsProtocol, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("tls", "PLAIN")]
    [InlineData("starttls", "PLAIN")]
    [InlineData("tls", "LOGIN")]
    [InlineData("starttls", "CRAM-MD5")]
    public async Task MailKit_WholeSession_Works(string mode, string mechanism)
    {
        string user = MailSite.NewUser();
        CancellationToken stop = TestContext.Current.CancellationToken;
        using ImapClient client = await ConnectAsync(mode, stop);
        SaslMechanism sasl = mechanism switch
        {
            "PLAIN" => new SaslMechanismPlain(user, MailSite.Password),
            "LOGIN" => new SaslMechanismLogin(user, MailSite.Password),
            _ => new SaslMechanismCramMd5(user, MailSite.Password),
        };
        await client.AuthenticateAsync(sasl, stop);
        var message = new MimeMessage { Subject = "Grüße" };
        message.From.Add(new MailboxAddress("Alice", "alice@example.test"));
        message.Body = new TextPart("plain") { Text = string.Concat(Enumerable.Repeat("some text\r\n", 5000)) };

        UniqueId? uid = await client.Inbox.AppendAsync(message, MessageFlags.Flagged, stop);
        await client.Inbox.OpenAsync(FolderAccess.ReadWrite, stop);
        MimeMessage read = await client.Inbox.GetMessageAsync(0, stop);
        IList<UniqueId> found = await client.Inbox.SearchAsync(SearchQuery.FromContains("alice"), stop);
        await client.DisconnectAsync(quit: true, stop);

        Assert.NotNull(uid);
        Assert.Equal("Grüße", read.Subject);
        Assert.Equal(message.TextBody, read.TextBody);
        Assert.Equal([uid.Value], found);
        DemoLogin login = Assert.Single(site.Logins, login => login.User == user);
        Assert.Equal(mechanism == "CRAM-MD5" ? "cram-md5" : "plain", login.Method);
    }

    [Fact]
    public async Task MailKit_WrongPassword_IsRefusedAndMayTryAgain()
    {
        string user = MailSite.NewUser();
        CancellationToken stop = TestContext.Current.CancellationToken;
        using ImapClient client = await ConnectAsync("tls", stop);

        await Assert.ThrowsAsync<AuthenticationException>(() => client.AuthenticateAsync(new SaslMechanismPlain(user, "wrong"), stop));
        await client.AuthenticateAsync(new SaslMechanismPlain(user, MailSite.Password), stop);

        Assert.True(client.IsAuthenticated);
        Assert.Equal([false, true], site.Logins.Where(login => login.User == user).Select(login => login.Accepted));
        await client.DisconnectAsync(quit: true, stop);
    }

    [Fact]
    public async Task MailKit_Idle_IsToldOfNewMail()
    {
        string user = MailSite.NewUser();
        CancellationToken stop = TestContext.Current.CancellationToken;
        using ImapClient reader = await ConnectAsync("tls", stop);
        await reader.AuthenticateAsync(new SaslMechanismPlain(user, MailSite.Password), stop);
        await reader.Inbox.OpenAsync(FolderAccess.ReadOnly, stop);
        using ImapClient writer = await ConnectAsync("starttls", stop);
        await writer.AuthenticateAsync(new SaslMechanismPlain(user, MailSite.Password), stop);
        using var done = new CancellationTokenSource(_clientLimit);
        int told = 0;
        reader.Inbox.CountChanged += (_, _) =>
        {
            told = reader.Inbox.Count;
            done.Cancel();
        };

        Task idle = reader.IdleAsync(done.Token, stop);
        var message = new MimeMessage { Subject = "ding", Body = new TextPart("plain") { Text = "dong" } };
        await writer.Inbox.AppendAsync(message, MessageFlags.None, stop);
        await idle;

        Assert.Equal(1, told);
    }

    [Theory]
    [InlineData("tls")]
    [InlineData("starttls")]
    public async Task Curl_FiftyMegabytesThereAndBack_AreTheSame(string mode)
    {
        const int size = 50 * 1024 * 1024;
        string user = MailSite.NewUser();
        using var folder = new TemporaryFolder();
        string sent = folder.File("sent.eml");
        string received = folder.File("received.eml");
        await WriteLargeMessageAsync(sent, size);
        string[] common =
        [
            "--silent", "--show-error", "--insecure", "--max-time", "110",
            .. mode == "starttls" ? ["--ssl-reqd"] : Array.Empty<string>(), "--user", $"{user}:{MailSite.Password}",
        ];
        string url = $"{(mode == "tls" ? "imaps" : "imap")}://127.0.0.1:{Port(mode)}/INBOX";

        (int appended, string appendOutput) = await RunningProcess.RunAsync("curl", [.. common, "--upload-file", sent, url], TimeSpan.FromSeconds(120));
        Assert.True(appended == 0, appendOutput);
        (int fetched, string fetchOutput) = await RunningProcess.RunAsync("curl", [.. common, "--output", received, url + ";MAILINDEX=1"], TimeSpan.FromSeconds(120));
        Assert.True(fetched == 0, fetchOutput);

        Assert.Equal(new FileInfo(sent).Length, new FileInfo(received).Length);
        Assert.Equal(await HashAsync(sent), await HashAsync(received));
    }

    [Fact]
    public async Task MailKit_FiftyMegabytesThereAndBack_AreTheSame()
    {
        string user = MailSite.NewUser();
        CancellationToken stop = TestContext.Current.CancellationToken;
        using var folder = new TemporaryFolder();
        string sent = folder.File("sent.eml");
        await WriteLargeMessageAsync(sent, 50 * 1024 * 1024);
        using ImapClient client = await ConnectAsync("tls", stop);
        await client.AuthenticateAsync(new SaslMechanismPlain(user, MailSite.Password), stop);

        await client.Inbox.AppendAsync(await MimeMessage.LoadAsync(sent, stop), MessageFlags.None, stop);
        await client.Inbox.OpenAsync(FolderAccess.ReadOnly, stop);
        await using Stream received = await client.Inbox.GetStreamAsync(0, stop);

        Assert.Equal(await HashAsync(sent), Convert.ToHexString(await SHA256.HashDataAsync(received, stop)));
        await client.DisconnectAsync(quit: true, stop);
    }

    [Theory]
    [InlineData("tls")]
    [InlineData("starttls")]
    public async Task Mbsync_PushAndPull_KeepEveryMessage(string mode)
    {
        string user = MailSite.NewUser();
        using var folder = new TemporaryFolder();
        foreach (string side in new[] { "first", "second" })
        {
            foreach (string part in new[] { "cur", "new", "tmp" })
            {
                Directory.CreateDirectory(Path.Combine(folder.Path, side, "INBOX", part));
            }
        }

        for (int i = 1; i <= 20; i++)
        {
            string text = $"From: a@example.test\nSubject: message {i}\nMessage-ID: <{i}@example.test>\n\nbody {i}\n";
            await File.WriteAllTextAsync(Path.Combine(folder.Path, "first", "INBOX", "new", $"{i}.test"), text, TestContext.Current.CancellationToken);
        }

        foreach (string side in new[] { "first", "second" })
        {
            string configuration = folder.Write($"{side}.rc", MbsyncConfiguration(folder, side, mode, user));
            (int exitCode, string output) = await RunningProcess.RunAsync("mbsync", ["-c", configuration, "all"], _clientLimit);
            Assert.True(exitCode == 0, output);
        }

        string[] subjects = [.. Directory.EnumerateFiles(Path.Combine(folder.Path, "second", "INBOX"), "*", SearchOption.AllDirectories)
            .Where(file => !Path.GetFileName(file).StartsWith('.'))
            .SelectMany(File.ReadLines)
            .Where(line => line.StartsWith("Subject: ", StringComparison.Ordinal))];
        Assert.Equal(Enumerable.Range(1, 20).Select(i => $"Subject: message {i}").Order(StringComparer.Ordinal), subjects.Order(StringComparer.Ordinal));
    }

    private string Port(string mode) => (mode == "tls" ? site.TlsPort : site.StartTlsPort).ToString(CultureInfo.InvariantCulture);

    private async Task<ImapClient> ConnectAsync(string mode, CancellationToken stop)
    {
        var client = new ImapClient { Timeout = (int)_clientLimit.TotalMilliseconds };
        try
        {
#pragma warning disable CA5359 // the tests' certificate is made up
            client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
            (int port, SecureSocketOptions how) = mode == "tls"
                ? (site.TlsPort, SecureSocketOptions.SslOnConnect)
                : (site.StartTlsPort, SecureSocketOptions.StartTls);
            await client.ConnectAsync("127.0.0.1", port, how, stop);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private string MbsyncConfiguration(TemporaryFolder folder, string side, string mode, string user) =>
        $"""
        IMAPAccount proxy
        Host localhost
        Port {Port(mode)}
        User {user}
        PassCmd "cat {folder.Write("password", MailSite.Password + "\n")}"
        SSLType {(mode == "tls" ? "IMAPS" : "STARTTLS")}
        SystemCertificates no
        CertificateFile {site.CertificateFile}

        IMAPStore far
        Account proxy

        MaildirStore near
        Path {folder.Path}/{side}/
        Inbox {folder.Path}/{side}/INBOX

        Channel all
        Far :far:
        Near :near:
        Patterns INBOX
        Create Near
        SyncState {folder.Path}/{side}-state-

        """;

    private static async Task WriteLargeMessageAsync(string path, int size)
    {
        byte[] alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"u8.ToArray();
        var random = new Random(1);
        byte[] line = new byte[78];
        line[76] = (byte)'\r';
        line[77] = (byte)'\n';
        await using FileStream file = File.Create(path);
        file.Write(Encoding.ASCII.GetBytes("From: a@example.test\r\nTo: b@example.test\r\nSubject: large\r\nContent-Type: text/plain\r\n\r\n"));
        while (file.Length < size)
        {
            random.GetItems(alphabet, line.AsSpan(0, 76));
            file.Write(line);
        }
    }

    private static async Task<string> HashAsync(string path)
    {
        await using FileStream file = File.OpenRead(path);
        return Convert.ToHexString(await SHA256.HashDataAsync(file));
    }
}
