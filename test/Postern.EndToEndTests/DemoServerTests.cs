using System.Globalization;
using System.Text;
using MailKit;
using MailKit.Net.Imap;
using MailKit.Net.Pop3;
using MailKit.Net.Smtp;
using MailKit.Search;
using MailKit.Security;
using MimeKit;
using Postern.Demo;
using Postern.TestKit;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>The servers of the demonstration, without a proxy in front, as clients and proxies use them.</summary>
public sealed class DemoServerTests
{
    [Fact]
    public async Task Imap_MailKit_ReadsFlagsAppendsAndSearches()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        await using DemoServers servers = DemoServers.Start();
        using ImapClient client = await ConnectAsync(servers, "alice", "wonderland", stop);

        IList<IMailFolder> folders = await client.GetFoldersAsync(client.PersonalNamespaces.Count > 0 ? client.PersonalNamespaces[0] : new FolderNamespace('/', ""), cancellationToken: stop);
        await client.Inbox.OpenAsync(FolderAccess.ReadWrite, stop);
        IList<IMessageSummary> summaries = await client.Inbox.FetchAsync(0, -1, MessageSummaryItems.All | MessageSummaryItems.UniqueId | MessageSummaryItems.BodyStructure, stop);
        MimeMessage first = await client.Inbox.GetMessageAsync(summaries[0].UniqueId, stop);
        await client.Inbox.AddFlagsAsync(0, MessageFlags.Flagged, silent: true, stop);
        var message = new MimeMessage { Subject = "new", Body = new TextPart("plain") { Text = "text" } };
        UniqueId? appended = await client.Inbox.AppendAsync(message, MessageFlags.Seen, stop);
        await client.Inbox.CheckAsync(stop);
        IList<UniqueId> flagged = await client.Inbox.SearchAsync(SearchQuery.Flagged, stop);
        await client.Inbox.AddFlagsAsync(1, MessageFlags.Deleted, silent: false, stop);
        await client.Inbox.ExpungeAsync(stop);
        int left = client.Inbox.Count;
        await client.DisconnectAsync(quit: true, stop);

        Assert.Equal(["Drafts", "INBOX", "Sent", "Trash"], folders.Select(folder => folder.Name).Order(StringComparer.Ordinal));
        Assert.Equal(["Welcome to postern", "Tea at four", "Can we fix it?"], summaries.Select(summary => summary.Envelope?.Subject));
        Assert.Equal("postern@demo.test", Assert.Single(summaries[0].Envelope!.From.Mailboxes).Address);
        Assert.Equal("You are reading this through a mail proxy.", first.TextBody?.Trim());
        Assert.NotNull(appended);
        Assert.Equal([summaries[0].UniqueId], flagged);
        Assert.Equal(3, left);
    }

    [Fact]
    public async Task Imap_Idle_TellsOfMailAnotherSessionAppends()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        await using DemoServers servers = DemoServers.Start();
        using ImapClient reader = await ConnectAsync(servers, "bob", "builder", stop);
        await reader.Inbox.OpenAsync(FolderAccess.ReadOnly, stop);
        using ImapClient writer = await ConnectAsync(servers, "bob", "builder", stop);
        using var done = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        reader.Inbox.CountChanged += (_, _) => done.Cancel();

        Task idle = reader.IdleAsync(done.Token, stop);
        var message = new MimeMessage { Subject = "new", Body = new TextPart("plain") { Text = "text" } };
        await writer.Inbox.AppendAsync(message, MessageFlags.None, stop);
        await idle;

        Assert.Equal(4, reader.Inbox.Count);
    }

    [Fact]
    public async Task Imap_Curl_ListsAndFetches()
    {
        await using DemoServers servers = DemoServers.Start();
        string url = $"imap://{servers.Imap.EndPoint}";

        (int listed, string list) = await RunningProcess.RunAsync("curl", ["-sS", "--max-time", "10", "-u", "alice:wonderland", url + "/"]);
        (int fetched, string text) = await RunningProcess.RunAsync("curl", ["-sS", "--max-time", "10", "-u", "alice:wonderland", url + "/INBOX;MAILINDEX=2"]);
        (int refused, _) = await RunningProcess.RunAsync("curl", ["-sS", "--max-time", "10", "-u", "alice:wrong", url + "/"]);

        Assert.Equal((0, 0), (listed, fetched));
        Assert.Contains("INBOX", list, StringComparison.Ordinal);
        Assert.Contains("Bring a clock that works.", text, StringComparison.Ordinal);
        Assert.Equal(67, refused);
    }

    [Theory]
    [InlineData("a LOGIN alice wonderland\r\n", "a OK ")]
    [InlineData("a LOGIN \"alice\" \"wonder\\land\"\r\n", "a OK ")]
    [InlineData("a LOGIN {5+}\r\nalice {10+}\r\nwonderland\r\n", "a OK ")]
    [InlineData("a LOGIN {5}\r\nalice {10}\r\nwonderland\r\n", "+ OK|+ OK|a OK ")]
    [InlineData("a LOGIN alice wrong\r\n", "a NO ")]
    [InlineData("a LOGIN nobody wonderland\r\n", "a NO ")]
    [InlineData("a SELECT INBOX\r\n", "a NO ")]
    [InlineData("a LOGIN \"alice\r\n", "a BAD ")]
    [InlineData("a LOGIN alice\r\n", "a BAD ")]
    [InlineData("a\r\n", "a BAD ")]
    [InlineData("\r\n", "* BAD ")]
    public async Task Imap_Login_InEveryForm(string command, string replies)
    {
        await using DemoServers servers = DemoServers.Start();
        await using ScriptedConnection connection = await ScriptedConnection.ConnectAsync(servers.Imap.EndPoint.Port);
        Assert.StartsWith("* OK", await connection.ReadLineAsync(), StringComparison.Ordinal);

        await connection.WriteAsync(command);

        foreach (string reply in replies.Split('|'))
        {
            Assert.StartsWith(reply, await connection.ReadLineAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Pop3_MailKit_ListsReadsAndDeletes()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        await using DemoServers servers = DemoServers.Start();
        using (Pop3Client client = await ConnectPop3Async(servers, stop))
        {
            Assert.Equal(3, client.Count);
            Assert.Equal("Tea at four", (await client.GetMessageHeadersAsync(1, stop))[HeaderId.Subject]);
            Assert.Equal(3, (await client.GetMessageUidsAsync(stop)).Distinct().Count());
            Assert.Equal("Yes, we can.", (await client.GetMessageAsync(2, stop)).TextBody?.Trim());
            await client.DeleteMessageAsync(0, stop);
            await Assert.ThrowsAsync<Pop3CommandException>(() => client.GetMessageAsync(0, stop));
            await client.DisconnectAsync(quit: true, stop);
        }

        using Pop3Client later = await ConnectPop3Async(servers, stop);
        Assert.Equal(2, later.Count);
        Assert.Equal("Tea at four", (await later.GetMessageAsync(0, stop)).Subject);
    }

    [Theory]
    [InlineData("PASS x\r\n", "-ERR ")]
    [InlineData("USER alice\r\nPASS wrong\r\n", "+OK |-ERR [AUTH]")]
    [InlineData("USER alice\r\nPASS wonderland\r\nRETR 4\r\nRETR x\r\nTOP 1\r\nFOO\r\n", "+OK |+OK 3|-ERR |-ERR |-ERR |-ERR ")]
    [InlineData("USER alice\r\nPASS wonderland\r\nDELE 1\r\nSTAT\r\nLIST 1\r\nRSET\r\nSTAT\r\nLIST 1\r\n", "+OK |+OK 3|+OK |+OK 2 |-ERR |+OK |+OK 3 |+OK 1 ")]
    public async Task Pop3_Commands_AreAnsweredInOrder(string commands, string replies)
    {
        await using DemoServers servers = DemoServers.Start();
        await AssertAnswersAsync(servers.Pop3.EndPoint.Port, "+OK", commands, replies);
    }

    [Fact]
    public async Task Smtp_MailKit_DeliversToEachRecipient()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        await using DemoServers servers = DemoServers.Start();
        using var client = new SmtpClient();
        await client.ConnectAsync("127.0.0.1", servers.Smtp.EndPoint.Port, SecureSocketOptions.None, stop);
        await client.AuthenticateAsync("alice", "wonderland", stop);
        var message = new MimeMessage { Subject = "new", Body = new TextPart("plain") { Text = "one\r\n.\r\n..two\r\n" } };
        message.From.Add(new MailboxAddress("Alice", "alice@demo.test"));
        message.To.Add(new MailboxAddress("Bob", "bob@demo.test"));
        message.To.Add(new MailboxAddress("Alice", "ALICE@DEMO.TEST"));

        await client.SendAsync(message, stop);
        await client.DisconnectAsync(quit: true, stop);

        foreach ((string user, string password) in new[] { ("bob", "builder"), ("alice", "wonderland") })
        {
            using ImapClient reader = await ConnectAsync(servers, user, password, stop);
            await reader.Inbox.OpenAsync(FolderAccess.ReadOnly, stop);
            MimeMessage read = await reader.Inbox.GetMessageAsync(3, stop);
            Assert.Equal("one\n.\n..two\n", read.TextBody?.ReplaceLineEndings("\n"));
            Assert.Contains("(authenticated as alice)", read.Headers[HeaderId.Received], StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("MAIL FROM:<a@b>\r\n", "503 ")]
    [InlineData("HELO x\r\nDATA\r\nRCPT TO:<bob@demo.test>\r\nMAIL x\r\nMAIL FROM:<>\r\nRCPT TO:<no@demo.test>\r\nDATA\r\n", "250 |503 |503 |501 |250 |550 |503 ")]
    [InlineData("AUTH PLAIN AGJvYgB3cm9uZw==\r\nAUTH PLAIN !\r\nAUTH LOGIN\r\nAUTH PLAIN AGJvYgBidWlsZGVy\r\n", "535 |501 |504 |235 ")]
    [InlineData("XCLIENT FOO=bar\r\nXCLIENT ADDR=192.0.2.1 LOGIN=a+0Ab NAME=x.test\r\nHELO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@demo.test>\r\nDATA\r\n\n.\n\r\n.\r\nFOO\r\n", "501 |220 |250 |250 |250 |354 |250 |500 ")]
    public async Task Smtp_Commands_AreAnsweredInOrder(string commands, string replies)
    {
        await using DemoServers servers = DemoServers.Start();
        await AssertAnswersAsync(servers.Smtp.EndPoint.Port, "220", commands, replies);
    }

    [Theory]
    [InlineData("bob@demo.test", "OK")]
    [InlineData("bob", "OK")]
    [InlineData("bob@example.org", "No such user here")]
    [InlineData("carol@demo.test", "No such user here")]
    public async Task Auth_MailWithoutSignIn_IsLetInForUsers(string recipient, string status)
    {
        await using DemoServers servers = DemoServers.Start();
        using var client = new HttpClient();
        var request = new HttpRequestMessage(HttpMethod.Get, servers.Auth.Url);
        request.Headers.Add("Auth-Method", "none");
        request.Headers.Add("Auth-Protocol", "smtp");
        request.Headers.TryAddWithoutValidation("Auth-SMTP-To", $"RCPT TO:<{recipient}>");

        using HttpResponseMessage response = await client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(status, Header(response, "Auth-Status"));
        Assert.Equal(status == "OK", response.Headers.TryGetValues("Auth-Port", out IEnumerable<string>? ports));
        Assert.Equal(status == "OK" ? [servers.Smtp.EndPoint.Port.ToString(CultureInfo.InvariantCulture)] : [], ports ?? []);
    }

    [Theory]
    [InlineData("plain", "")]
    [InlineData("cram-md5", "74e6f7298a9c2d168935f58c001bad88")]
    public async Task Auth_UnknownUserWithEmptyPassword_IsRefused(string method, string password)
    {
        // The digest is HMAC-MD5 of nothing with an empty key: what somebody without a password would send.
        await using DemoServers servers = DemoServers.Start();
        using var client = new HttpClient();
        using HttpResponseMessage response = await SendAsync(client, servers.Auth.Url, "nobody", password, method);
        Assert.NotEqual("OK", Header(response, "Auth-Status"));
    }

    [Fact]
    public async Task Auth_KeptConnection_AnswersEachRequest()
    {
        await using DemoServers servers = DemoServers.Start(waitSeconds: 3);
        var logins = new List<DemoLogin>();
        servers.Auth.Answered += logins.Add;
        using var client = new HttpClient();

        using HttpResponseMessage accepted = await SendAsync(client, servers.Auth.Url, "alice", "wonderland");
        using HttpResponseMessage refused = await SendAsync(client, servers.Auth.Url, "alice", "wrong");

        Assert.Equal("OK", Header(accepted, "Auth-Status"));
        Assert.Equal("127.0.0.1", Header(accepted, "Auth-Server"));
        Assert.Equal(servers.Imap.EndPoint.Port.ToString(CultureInfo.InvariantCulture), Header(accepted, "Auth-Port"));
        Assert.Equal("Invalid login or password", Header(refused, "Auth-Status"));
        Assert.Equal("3", Header(refused, "Auth-Wait"));
        await Deadline.UntilAsync(() => logins.Count == 2, () => "two logins");
        Assert.Equal([("alice", true), ("alice", false)], logins.Select(login => (login.User, login.Accepted)));
    }

    [Theory]
    [InlineData("GET /auth HTTP/1.0\r\n", true)]
    [InlineData("GET /auth HTTP/1.1\r\nConnection: close\r\n", true)]
    [InlineData("GET /auth HTTP/1.0\r\nConnection: keep-alive\r\n", false)]
    [InlineData("GET /auth HTTP/1.1\r\n", false)]
    public async Task Auth_Connection_IsClosedWhenHttpSaysSo(string start, bool closes)
    {
        await using DemoServers servers = DemoServers.Start();
        await using ScriptedConnection connection = await ScriptedConnection.ConnectAsync(servers.Auth.EndPoint.Port);

        await connection.WriteAsync(start + "Auth-Method: plain\r\nAuth-User: bob\r\nAuth-Pass: builder\r\n\r\n");

        string head = "";
        while (await connection.ReadLineAsync() is { } line && line != "\r\n")
        {
            head += line;
        }

        Assert.Contains("Auth-Status: OK\r\n", head, StringComparison.Ordinal);
        if (closes)
        {
            Assert.Equal("", await connection.ReadToEndAsync());
        }
        else
        {
            await connection.WriteAsync("GET /auth HTTP/1.1\r\nAuth-User: x%20y\r\n\r\n");
            Assert.StartsWith("HTTP/1.1 200", await connection.ReadLineAsync(), StringComparison.Ordinal);
        }
    }

    /// <summary>Sends everything at once and compares the beginnings of the reply lines.</summary>
    private static async Task AssertAnswersAsync(int port, string greeting, string commands, string replies)
    {
        await using ScriptedConnection connection = await ScriptedConnection.ConnectAsync(port);
        Assert.StartsWith(greeting, await connection.ReadLineAsync(), StringComparison.Ordinal);
        await connection.WriteAsync(commands);
        foreach (string reply in replies.Split('|'))
        {
            Assert.StartsWith(reply, await connection.ReadLineAsync(), StringComparison.Ordinal);
        }
    }

    private static async Task<Pop3Client> ConnectPop3Async(DemoServers servers, CancellationToken stop)
    {
        var client = new Pop3Client();
        try
        {
            await client.ConnectAsync("127.0.0.1", servers.Pop3.EndPoint.Port, SecureSocketOptions.None, stop);
            await client.AuthenticateAsync(Encoding.UTF8, "alice", "wonderland", stop);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static async Task<ImapClient> ConnectAsync(DemoServers servers, string user, string password, CancellationToken stop)
    {
        var client = new ImapClient();
        try
        {
            await client.ConnectAsync("127.0.0.1", servers.Imap.EndPoint.Port, SecureSocketOptions.None, stop);
            await client.AuthenticateAsync(Encoding.UTF8, user, password, stop);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, string url, string user, string password, string method = "plain")
    {
        var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Add("Auth-Method", method);
        request.Headers.Add("Auth-User", user);
        request.Headers.Add("Auth-Pass", password);
        return client.SendAsync(request);
    }

    private static string Header(HttpResponseMessage response, string name) => Assert.Single(response.Headers.GetValues(name));
}
