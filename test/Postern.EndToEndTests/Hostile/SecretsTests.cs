using System.Text;
using Postern.TestKit;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>
/// Passwords of sign-ins by every mechanism, with every ending, in clear and under TLS: afterwards none is in the log at level debug, on
/// standard error or anywhere in the memory of the running program, in no form it was written in.
/// </summary>
public sealed class SecretsTests
{
    /// <summary>Every password of these tests begins with it and goes on with where it was used.</summary>
    private const string Mark = "qZ7xK2vW9mT4";

    /// <summary>Makes quoting and escaping necessary wherever there is such a thing.</summary>
    private const string Awkward = "%\"\\";

    private static readonly Dictionary<string, byte[]> _forms = Forms();

    private static readonly (string Protocol, string Name, Func<string, string, string[]> Lines)[] _mechanisms =
    [
        ("imap", "login-quoted", (login, password) => [$"a LOGIN {login} \"{password.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\""]),
        ("imap", "login-literal", (login, password) => [$"a LOGIN {login} {{{password.Length}}}", password]),
        ("imap", "login-literal-plus", (login, password) => [$"a LOGIN {login} {{{password.Length}+}}\r\n{password}"]),
        ("imap", "plain", (login, password) => ["a AUTHENTICATE PLAIN", Base64($"\0{login}\0{password}")]),
        ("imap", "plain-initial", (login, password) => ["a AUTHENTICATE PLAIN " + Base64($"\0{login}\0{password}")]),
        ("imap", "login-sasl", (login, password) => ["a AUTHENTICATE LOGIN", Base64(login), Base64(password)]),
        ("imap", "cram-md5", (login, password) => ["a AUTHENTICATE CRAM-MD5", Base64($"{login} {Digest(password)}")]),
        ("pop3", "user-pass", (login, password) => ["USER " + login, "PASS " + password]),
        ("pop3", "apop", (login, password) => [$"APOP {login} {Digest(password)}"]),
        ("pop3", "plain", (login, password) => ["AUTH PLAIN", Base64($"\0{login}\0{password}")]),
        ("pop3", "plain-initial", (login, password) => ["AUTH PLAIN " + Base64($"\0{login}\0{password}")]),
        ("pop3", "login-sasl", (login, password) => ["AUTH LOGIN", Base64(login), Base64(password)]),
        ("smtp", "plain", (login, password) => ["AUTH PLAIN", Base64($"\0{login}\0{password}")]),
        ("smtp", "plain-initial", (login, password) => ["AUTH PLAIN " + Base64($"\0{login}\0{password}")]),
        ("smtp", "login-sasl", (login, password) => ["AUTH LOGIN", Base64(login), Base64(password)]),
        ("smtp", "login-sasl-initial", (login, password) => ["AUTH LOGIN " + Base64(login), Base64(password)]),
    ];

    /// <summary>Not what a password is for, but where one ends up by mistake: typed too early, with the wrong command, where it is not allowed.</summary>
    private static readonly (string Protocol, string Name, Func<string, string, string[]> Lines)[] _mistakes =
    [
        ("imap", "typed", (_, password) => [password]),
        ("imap", "typed-tagged", (_, password) => ["a " + password]),
        ("imap", "no-login", (_, password) => ["a LOGIN \"\" " + password]),
        ("imap", "three-words", (_, password) => ["a LOGIN u v " + password]),
        ("imap", "open-quote", (_, password) => ["a LOGIN u \"" + password]),
        ("imap", "cram-md5-initial", (_, password) => ["a AUTHENTICATE CRAM-MD5 " + Base64(password)]),
        ("imap", "unknown-initial", (_, password) => ["a AUTHENTICATE X " + Base64(password)]),
        ("imap", "broken-base64", (_, password) => ["a AUTHENTICATE PLAIN", Base64("\0u\0" + password) + "!"]),
        ("imap", "no-nul", (_, password) => ["a AUTHENTICATE PLAIN", Base64("u" + password)]),
        ("imap", "two-words", (_, password) => ["a AUTHENTICATE LOGIN", "dQ==", "x " + Base64(password)]),
        ("imap", "after-goodbye", (_, password) => ["a LOGOUT", "b LOGIN u " + password]),
        ("pop3", "typed", (_, password) => [password]),
        ("pop3", "pass-first", (_, password) => ["PASS " + password]),
        ("pop3", "two-words", (_, password) => ["USER u", "PASS x " + password]),
        ("pop3", "unknown-initial", (_, password) => ["AUTH X " + Base64(password)]),
        ("pop3", "no-nul", (_, password) => ["AUTH PLAIN", Base64("u" + password)]),
        ("pop3", "after-goodbye", (_, password) => ["QUIT", "PASS " + password]),
        ("smtp", "after-goodbye", (_, password) => ["QUIT", "AUTH PLAIN " + Base64("\0u\0" + password)]),
        ("smtp", "typed", (_, password) => [password]),
        ("smtp", "unknown-initial", (_, password) => ["AUTH X " + Base64(password)]),
        ("smtp", "cram-md5-initial", (_, password) => ["AUTH CRAM-MD5 " + Base64(password)]),
        ("smtp", "no-nul", (_, password) => ["AUTH PLAIN", Base64("u" + password)]),
        ("smtp", "helo", (_, password) => ["HELO u " + password, "RSET"]),
    ];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Passwords_WhateverBecameOfThem_AreNeitherInLogsNorInMemory(bool tls)
    {
        await using HostileSite site = await HostileSite.StartAsync(MailProxy.Postern, "proxy_smtp_auth on; xclient off;", logLevel: "debug");
        List<ScriptedConnection> joined = [];
        try
        {
            await FindWhatIsThereAsync(site, tls);
            await HostileSite.EachAsync(
                from mechanism in _mechanisms from ending in Endings() select (mechanism, ending),
                one => SignInAsync(
                    site, tls, one.mechanism.Protocol, $"{one.mechanism.Name}.{one.ending.Key}", one.mechanism.Lines,
                    one.ending.Value with { BackendReplies = Replies(one.mechanism.Protocol, one.ending.Value) }, joined));
            await HostileSite.EachAsync(
                from mechanism in _mechanisms from leave in (string[])["end", "reset", "silent", "oversized"] select (mechanism, leave),
                one => LeaveEarlyAsync(site, tls, one.mechanism.Protocol, one.mechanism.Name, one.mechanism.Lines, one.leave));
            foreach ((string protocol, string name, Func<string, string, string[]> lines) in _mistakes)
            {
                await using ScriptedConnection client = await site.ConnectAsync(protocol, tls: tls);
                await SayAsync(client, lines("", $"{Mark}.{protocol}.{name}"));
                await client.HalfCloseAsync();
                _ = await client.ReadToEndAsync();
            }

            await AssertNowhereAsync(site);
        }
        finally
        {
            joined.ForEach(client => client.Close());
        }
    }

    /// <summary>
    /// The collector moves what lives long, and leaves a copy where it was: sign-ins wait for their answer while others come and go.
    /// </summary>
    [Fact]
    public async Task Passwords_OfSessionsThatCollectionsHaveMoved_AreNotInMemory()
    {
        await using HostileSite site = await HostileSite.StartAsync(MailProxy.Postern);
        List<ScriptedConnection> waiting = [];
        foreach ((string protocol, string name, Func<string, string, string[]> lines) in _mechanisms)
        {
            (string login, _) = site.Prepare(new Play(Play.Accept[..20], PeerEnd.Stall));
            ScriptedConnection client = await site.ConnectAsync(protocol);
            waiting.Add(client);
            await SayAsync(client, lines(login, $"{Mark}.{protocol}.{name}{Awkward}"));
            ScriptedConnection half = await site.ConnectAsync(protocol);
            waiting.Add(half);
            string[] all = lines(login, $"{Mark}.{protocol}.{name}.half");
            await SayAsync(half, Cut(all), ended: false);
        }

        await Deadline.UntilAsync(() => site.Requests.Count >= _mechanisms.Length, () => "not all have come to the auth server");
        List<MemoryFinding> before = ProcessMemorySearch.Find(site.Program.ProcessId, _forms);
        await HostileSite.EachAsync(
            Enumerable.Range(0, 2000),
            async number =>
            {
                await using ScriptedConnection other = await site.ConnectAsync("imap");
                await other.WriteAsync($"a LOGIN other{number} word\r\n");
                _ = await other.ReadToEndAsync();
            },
            atOnce: 16);
        List<MemoryFinding> after = ProcessMemorySearch.Find(site.Program.ProcessId, _forms);
        Assert.Subset(before.Select(finding => finding.Place).ToHashSet(), after.Select(finding => finding.Place).ToHashSet());
        waiting.ForEach(client => client.Close());
        await site.ReleaseAsync();
        await AssertNowhereAsync(site);
    }

    /// <summary>That nothing is found later must not be because nothing can be found.</summary>
    private static async Task FindWhatIsThereAsync(HostileSite site, bool tls)
    {
        await using ScriptedConnection client = await site.ConnectAsync("imap", tls: tls);
        await client.WriteAsync($"a LOGIN {Mark}.control");
        await Deadline.UntilAsync(() => ProcessMemorySearch.Find(site.Program.ProcessId, _forms).Count > 0, () => "nothing is found");
        await client.HalfCloseAsync();
        _ = await client.ReadToEndAsync();
    }

    private static Dictionary<string, Play> Endings() => new()
    {
        ["refused"] = new("HTTP/1.0 200 OK\r\nAuth-Status: no\r\n\r\n"),
        ["refused-wait"] = new("HTTP/1.0 200 OK\r\nAuth-Status: no\r\nAuth-Wait: 1\r\n\r\n"),
        ["auth-closes"] = new(""),
        ["auth-resets"] = new("HTTP/1.0 200", PeerEnd.Reset),
        ["auth-stalls"] = new("HTTP/1.0 200", PeerEnd.Stall),
        ["backend-down"] = new(Play.Accept),
        ["backend-closes"] = new(Play.Accept, BackendReplies: []),
        ["backend-refuses"] = new(Play.Accept, BackendReplies: ["no"]),
        ["backend-stalls"] = new(Play.Accept, BackendReplies: [], BackendEnd: PeerEnd.Stall),
        ["joined"] = new(With($"Auth-Pass: {Mark}.from-auth{Awkward}\r\n"), BackendReplies: ["joined"], BackendEnd: PeerEnd.Stall),
    };

    private static string With(string header) => Play.Accept.Replace("Auth-Port", header + "Auth-Port", StringComparison.Ordinal);

    /// <summary>The backend's lines; all of them, or all but the last, which is a refusal or is not said.</summary>
    private static string[]? Replies(string protocol, Play play)
    {
        string[] all = protocol switch
        {
            "imap" => ["* OK hello\r\n", "a OK in\r\n"],
            "pop3" => ["+OK hello\r\n", "+OK\r\n", "+OK in\r\n"],
            _ => ["220 hello\r\n", "250 mx\r\n", "235 in\r\n"],
        };
        return play.BackendReplies switch
        {
            null => null,
            ["joined"] => all,
            ["no"] => [.. all[..^1], protocol switch { "imap" => "a NO sorry\r\n", "pop3" => "-ERR sorry\r\n", _ => "535 sorry\r\n" }],
            _ => all[..^1],
        };
    }

    private static async Task SignInAsync(
        HostileSite site, bool tls, string protocol, string name, Func<string, string, string[]> lines, Play play, List<ScriptedConnection> joined)
    {
        (string login, ScriptedListener? backend) = site.Prepare(play);
        await using ScriptedListener? listening = backend;
        ScriptedConnection client = await site.ConnectAsync(protocol, hurried: true, tls);
        try
        {
            await SayAsync(client, lines(login, $"{Mark}.{protocol}.{name}{Awkward}"));
            string reply = await client.ReadLineAsync() ?? "";
            if (reply.Contains(" in\r", StringComparison.Ordinal) || reply.StartsWith("235", StringComparison.Ordinal))
            {
                // Joined, and it stays so.
                lock (joined)
                {
                    joined.Add(client);
                }

                return;
            }

            Assert.False(name.EndsWith(".joined", StringComparison.Ordinal), $"{protocol} {name}: {reply}");
            await client.HalfCloseAsync();
            _ = await client.ReadToEndAsync();
            await client.DisposeAsync();
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    /// <summary>The client stops in the middle of its password: for good, for too long, or never.</summary>
    private static async Task LeaveEarlyAsync(
        HostileSite site, bool tls, string protocol, string name, Func<string, string, string[]> lines, string leave)
    {
        string password = $"{Mark}.{protocol}.{name}.{leave}";
        string[] all = lines("u", leave == "oversized" ? password + new string('x', 6000) : password);
        await using ScriptedConnection client = await site.ConnectAsync(protocol, hurried: leave == "silent", tls);
        try
        {
            await SayAsync(client, Cut(all), ended: false);
        }
        catch (IOException)
        {
            // Turned away before all was said.
        }

        if (leave == "reset")
        {
            client.Reset();
            return;
        }

        if (leave != "silent")
        {
            await client.HalfCloseAsync();
        }

        _ = await client.ReadToEndAsync();
    }

    /// <summary>The lines without the last bytes of the last one.</summary>
    private static string[] Cut(string[] lines) => [.. lines[..^1], lines[^1].Substring(0, lines[^1].Length - 4)];

    /// <summary>A reply is awaited before each line but the first.</summary>
    private static async Task SayAsync(ScriptedConnection client, string[] lines, bool ended = true)
    {
        for (int i = 0; i < lines.Length; i++)
        {
            if (i > 0)
            {
                _ = await client.ReadLineAsync();
            }

            await client.WriteAsync(lines[i] + (ended || i < lines.Length - 1 ? "\r\n" : ""));
        }
    }

    private static async Task AssertNowhereAsync(HostileSite site)
    {
        // The end of a client's connection is not the end of what the program does about it.
        string report = "";
        try
        {
            await Deadline.UntilAsync(
                () =>
                {
                    List<MemoryFinding> found = ProcessMemorySearch.Find(site.Program.ProcessId, _forms);
                    report = string.Join('\n', found.Select(finding => $"{finding.Secret} at {finding.Place}: {Text.Show(finding.Around)}"));
                    return found.Count == 0;
                },
                () => "in memory:\n" + report,
                TimeSpan.FromSeconds(8));
        }
        catch (TimeoutException e)
        {
            Assert.Fail(e.Message);
        }

        string log = site.Program.Log;
        Assert.Contains("client login failed", log, StringComparison.Ordinal);
        Assert.DoesNotContain("session failed", log, StringComparison.Ordinal);
        foreach (byte[] form in _forms.Values)
        {
            Assert.DoesNotContain(Text.Of(form), log, StringComparison.Ordinal);
        }
    }

    /// <summary>The mark as it is, as UTF-16, and in base64 at each of the three places it can have in a group of bytes.</summary>
    private static Dictionary<string, byte[]> Forms()
    {
        Dictionary<string, byte[]> forms = new() { ["clear"] = Encoding.ASCII.GetBytes(Mark), ["UTF-16"] = Encoding.Unicode.GetBytes(Mark) };
        for (int shift = 0; shift < 3; shift++)
        {
            int first = ((8 * shift) + 5) / 6;
            int behind = 8 * (shift + Mark.Length) / 6;
            forms["base64 " + shift] = Encoding.ASCII.GetBytes(Base64(new string('\0', shift) + Mark)[first..behind]);
        }

        return forms;
    }

    /// <summary>As long as a digest has to be.</summary>
    private static string Digest(string password) => password.PadRight(32, '0')[..32];

    private static string Base64(string text) => Convert.ToBase64String(Text.Bytes(text));
}
