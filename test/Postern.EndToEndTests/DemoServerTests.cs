using System.Globalization;
using System.Text;
using MailKit;
using MailKit.Net.Imap;
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
        Assert.Equal("You are reading this through an IMAP proxy.", first.TextBody?.Trim());
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

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, string url, string user, string password)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Add("Auth-Method", "plain");
        request.Headers.Add("Auth-User", user);
        request.Headers.Add("Auth-Pass", password);
        return client.SendAsync(request);
    }

    private static string Header(HttpResponseMessage response, string name) => Assert.Single(response.Headers.GetValues(name));
}
