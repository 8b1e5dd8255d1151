using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>The resumption matrix (TLS reference, section 4), and what bounds a session's life.</summary>
public sealed class ResumptionTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string NoTickets = " ssl_session_tickets off;";

    /// <summary>Directives; whether each client resumes (TLS 1.2, TLS 1.2 without tickets, TLS 1.3); whether TLS 1.2 gets an id.</summary>
    public static TheoryData<MailProxy, string, bool, bool, bool, bool> Matrix
    {
        get
        {
            var matrix = new TheoryData<MailProxy, string, bool, bool, bool, bool>();
            foreach (MailProxy proxy in (MailProxy[])[MailProxy.Nginx, MailProxy.Postern])
            {
                matrix.Add(proxy, "ssl_session_cache off;", true, false, true, false);
                matrix.Add(proxy, "ssl_session_cache off;" + NoTickets, false, false, false, false);
                matrix.Add(proxy, "ssl_session_cache none;", true, false, true, true);
                matrix.Add(proxy, "ssl_session_cache none;" + NoTickets, false, false, false, true);
                foreach (string cache in (string[])["builtin", "shared:S:1m", "builtin:100 shared:S:1m"])
                {
                    matrix.Add(proxy, $"ssl_session_cache {cache};", true, true, true, true);
                    matrix.Add(proxy, $"ssl_session_cache {cache};" + NoTickets, true, true, true, true);
                }
            }

            return matrix;
        }
    }

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task Resumption_CacheAndTickets_AsTheMatrixSays(
        MailProxy proxy, string directives, bool tls12, bool tls12WithoutTickets, bool tls13, bool hasId)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, directives);

        Assert.Equal(tls12, await ResumesAsync(site, "-tls1_2"));
        Assert.Equal(tls12WithoutTickets, await ResumesAsync(site, "-tls1_2 -no_ticket"));
        Assert.Equal(tls13, await ResumesAsync(site, "-tls1_3"));
        SClient first = await SClient.ConnectAsync(site.Port(), "-tls1_2 -no_ticket");
        Assert.Equal(hasId ? 64 : 0, first.SessionIdDigits);
    }

    [Theory]
    [InlineData("ssl_session_cache off;" + NoTickets, 0)]
    [InlineData("ssl_session_cache none;" + NoTickets, 0)]
    [InlineData("ssl_session_timeout 0;", 0)]
    [InlineData("ssl_session_cache shared:S:1m;" + NoTickets, 2)]
    [InlineData("", 2)]
    public async Task Tickets_Tls13_OnlyWhereTheyAreOfUse(string directives, int expected)
    {
        await using TlsSite site = await TlsSite.StartAsync(MailProxy.Postern, files, directives);

        SClient client = await SClient.ConnectAsync(site.Port(), "-tls1_3");

        Assert.True(client.Shaken, client.Output);
        Assert.Equal(expected, client.Tickets);
    }

    [Theory]
    [InlineData("")]
    [InlineData("ssl_session_cache shared:S:1m;")]
    [InlineData("ssl_session_cache builtin;")]
    public async Task SessionTimeout_Zero_NothingIsResumed(string directives)
    {
        await using TlsSite site = await TlsSite.StartAsync(MailProxy.Postern, files, directives + " ssl_session_timeout 0;");

        Assert.False(await ResumesAsync(site, "-tls1_2"));
        Assert.False(await ResumesAsync(site, "-tls1_2 -no_ticket"));
        Assert.False(await ResumesAsync(site, "-tls1_3"));
    }

    [Theory]
    [InlineData(MailProxy.Postern, "")]
    [InlineData(MailProxy.Postern, "ssl_session_cache shared:S:1m;")]
    [InlineData(MailProxy.Postern, "ssl_session_cache shared:S:1m;" + NoTickets)]
    public async Task SessionTimeout_ResumedOverAndOver_IsCountedFromTheFirstHandshake(MailProxy proxy, string directives)
    {
        const int Timeout = 4;
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, $"{directives} ssl_session_timeout {Timeout};");
        string session = SessionFile();
        long begin = TimeProvider.System.GetTimestamp();
        Assert.False((await SClient.ConnectAsync(site.Port(), $"-tls1_3 -sess_out {session}")).Resumed);
        bool resumed = (await SClient.ConnectAsync(site.Port(), $"-tls1_3 -sess_in {session} -sess_out {session}")).Resumed;
        Assert.True(resumed || TimeProvider.System.GetElapsedTime(begin).TotalSeconds >= Timeout);

        // Each connection takes a fraction of a second: without a bound the session would live on and on.
        await Deadline.UntilAsync(
            () => !SClient.ConnectAsync(site.Port(), $"-tls1_3 -sess_in {session} -sess_out {session}").GetAwaiter().GetResult().Resumed,
            () => "the session never ends",
            TimeSpan.FromSeconds(20));
        Assert.InRange(TimeProvider.System.GetElapsedTime(begin).TotalSeconds, Timeout - 1.1, 20);
    }

    [Theory]
    [InlineData("-tls1_2")]
    [InlineData("-tls1_3")]
    public async Task TicketKeys_SharedFiles_TicketsOfNginxAreGoodHereAndOursThere(string version)
    {
        const string Keys = "ssl_session_ticket_key ticket80; ssl_session_ticket_key ticket48;";
        const string Reversed = "ssl_session_ticket_key ticket48; ssl_session_ticket_key ticket80;";
        await using TlsSite nginx = await TlsSite.StartAsync(MailProxy.Nginx, files, Keys, Reversed, "ssl_session_ticket_key ticket80;");
        await using TlsSite postern = await TlsSite.StartAsync(MailProxy.Postern, files, Keys, Reversed, "ssl_session_ticket_key ticket80;");
        foreach ((int from, int to) in ((int, int)[])[(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)])
        {
            Assert.True(await ResumesAsync(nginx.Port(from), postern.Port(to), version), $"nginx {from} to postern {to}");
            Assert.True(await ResumesAsync(postern.Port(from), nginx.Port(to), version), $"postern {from} to nginx {to}");
        }

        // Made with the 48 byte key, which the third server does not have.
        Assert.False(await ResumesAsync(nginx.Port(1), postern.Port(2), version));
        Assert.False(await ResumesAsync(postern.Port(1), nginx.Port(2), version));
    }

    [Theory]
    [InlineData("-tls1_2")]
    [InlineData("-tls1_2 -no_ticket")]
    [InlineData("-tls1_3")]
    public async Task Sharing_ServersWithTheSameKeysAndCache_OnlyTheSamePolicyResumes(string version)
    {
        const string Common = "ssl_session_cache shared:S:1m; ssl_session_ticket_key ticket80; ";
        await using TlsSite site = await TlsSite.StartAsync(
            MailProxy.Postern,
            files,
            Common,
            Common + "protocol imap;",
            Common + "ssl_certificate other.pem; ssl_certificate_key other.key;",
            Common + "ssl_verify_client optional; ssl_client_certificate ca.pem;",
            Common + "ssl_verify_client optional; ssl_client_certificate ca.pem; ssl_trusted_certificate self.pem;",
            Common + "ssl_verify_client optional; ssl_client_certificate ca.pem; ssl_crl crl.pem;",
            Common + "ssl_verify_client optional; ssl_client_certificate ca.pem; ssl_verify_depth 0;",
            Common + "ssl_verify_client optional; ssl_client_certificate ca.pem;");

        Assert.True(await ResumesAsync(site.Port(0), site.Port(1), version));
        Assert.False(await ResumesAsync(site.Port(0), site.Port(2), version));
        Assert.False(await ResumesAsync(site.Port(0), site.Port(3), version));
        Assert.True(await ResumesAsync(site.Port(3), site.Port(7), version));
        for (int other = 4; other <= 6; other++)
        {
            Assert.False(await ResumesAsync(site.Port(3), site.Port(other), version), $"policy {other}");
            Assert.False(await ResumesAsync(site.Port(other), site.Port(3), version), $"policy {other}");
        }
    }

    /// <summary>The same in both programs: another certificate or another list of authorities is another kind of session.</summary>
    [Theory]
    [InlineData(MailProxy.Nginx, "-tls1_2")]
    [InlineData(MailProxy.Postern, "-tls1_2")]
    [InlineData(MailProxy.Nginx, "-tls1_2 -no_ticket")]
    [InlineData(MailProxy.Postern, "-tls1_2 -no_ticket")]
    [InlineData(MailProxy.Nginx, "-tls1_3")]
    [InlineData(MailProxy.Postern, "-tls1_3")]
    public async Task Sharing_AnotherCertificateOrList_IsAFullHandshake(MailProxy proxy, string version)
    {
        const string Common = "ssl_session_cache shared:S:1m; ssl_session_ticket_key ticket80; ";
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            Common,
            Common,
            Common + "ssl_certificate other.pem; ssl_certificate_key other.key;",
            Common + "ssl_verify_client optional; ssl_client_certificate ca.pem;",
            Common + "ssl_verify_client optional; ssl_client_certificate self.pem;");

        Assert.True(await ResumesAsync(site.Port(0), site.Port(1), version));
        foreach ((int from, int to) in ((int, int)[])[(0, 2), (2, 0), (0, 3), (3, 4)])
        {
            Assert.False(await ResumesAsync(site.Port(from), site.Port(to), version), $"{from} to {to}");
        }
    }

    /// <summary>A ticket of an older key is taken, and replaced by one of the first key, which the next server has alone.</summary>
    [Theory]
    [InlineData(MailProxy.Nginx)]
    [InlineData(MailProxy.Postern)]
    public async Task TicketKeys_TicketOfAnOlderKey_IsReplaced(MailProxy proxy)
    {
        // In TLS 1.2 s_client writes the session it resumed, not the one of the new ticket.
        const string version = "-tls1_3";
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            "ssl_session_ticket_key ticket80;",
            "ssl_session_ticket_key ticket48; ssl_session_ticket_key ticket80;",
            "ssl_session_ticket_key ticket48;");
        string old = SessionFile();
        string renewed = SessionFile();
        Assert.False((await SClient.ConnectAsync(site.Port(0), $"{version} -sess_out {old}")).Resumed);

        Assert.True((await SClient.ConnectAsync(site.Port(1), $"{version} -sess_in {old} -sess_out {renewed}")).Resumed);

        Assert.True((await SClient.ConnectAsync(site.Port(2), $"{version} -sess_in {renewed}")).Resumed);
        Assert.False((await SClient.ConnectAsync(site.Port(2), $"{version} -sess_in {old}")).Resumed);
    }

    [Theory]
    [InlineData(MailProxy.Nginx)]
    [InlineData(MailProxy.Postern)]
    public async Task BuiltinCache_OfOneSession_HoldsTheLast(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "ssl_session_cache builtin:1; ssl_session_tickets off;");
        string first = SessionFile();
        string second = SessionFile();
        _ = await SClient.ConnectAsync(site.Port(), $"-tls1_2 -sess_out {first}");
        _ = await SClient.ConnectAsync(site.Port(), $"-tls1_2 -sess_out {second}");

        Assert.True((await SClient.ConnectAsync(site.Port(), $"-tls1_2 -sess_in {second}")).Resumed);
        Assert.False((await SClient.ConnectAsync(site.Port(), $"-tls1_2 -sess_in {first}")).Resumed);
    }

    [Theory]
    [InlineData(MailProxy.Nginx)]
    [InlineData(MailProxy.Postern)]
    public async Task SessionTimeout_IsTheHintOfATicket(MailProxy proxy)
    {
        await using TlsSite site = await TlsSite.StartAsync(proxy, files, "ssl_session_timeout 2m;", "");

        foreach (string version in (string[])["-tls1_2", "-tls1_3"])
        {
            Assert.Contains("TLS session ticket lifetime hint: 120 (seconds)", (await SClient.ConnectAsync(site.Port(0), version)).Output, StringComparison.Ordinal);
            Assert.Contains("TLS session ticket lifetime hint: 300 (seconds)", (await SClient.ConnectAsync(site.Port(1), version)).Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task SharedCache_Reload_Survives()
    {
        const int SigHup = 1;
        await using TlsSite site = await TlsSite.StartAsync(
            MailProxy.Postern, files, "ssl_session_cache shared:S:1m; ssl_session_tickets off;", "ssl_session_cache shared:T:1m;");
        string session = SessionFile();
        string ticket = SessionFile();
        _ = await SClient.ConnectAsync(site.Port(), $"-tls1_2 -no_ticket -sess_out {session}");
        _ = await SClient.ConnectAsync(site.Port(1), $"-tls1_3 -sess_out {ticket}");

        site.Program.Signal(SigHup);
        await Deadline.UntilAsync(() => site.Log.Contains("reconfiguring", StringComparison.Ordinal), () => site.Log);

        // The signal is obeyed in order, but beside us: a few connections later the new configuration is surely in use.
        for (int i = 0; i < 5; i++)
        {
            Assert.True((await SClient.ConnectAsync(site.Port(), $"-tls1_2 -no_ticket -sess_in {session}")).Resumed);
        }

        // The rotating ticket keys live in the cache.
        Assert.True((await SClient.ConnectAsync(site.Port(1), $"-tls1_3 -sess_in {ticket}")).Resumed);
    }

    private string SessionFile() => files.PathOf($"session-{Guid.NewGuid():N}");

    private Task<bool> ResumesAsync(TlsSite site, string version) => ResumesAsync(site.Port(), site.Port(), version);

    private async Task<bool> ResumesAsync(int from, int to, string version)
    {
        string session = SessionFile();
        SClient first = await SClient.ConnectAsync(from, $"{version} -sess_out {session}");
        Assert.True(first.Shaken && !first.Resumed, first.Output);

        // Without anything to resume there is no file, with which s_client would stop.
        string offer = File.Exists(session) ? "-sess_in " + session : "";
        SClient second = await SClient.ConnectAsync(to, $"{version} {offer}");
        Assert.True(second.Shaken, second.Output);
        return second.Resumed;
    }
}
