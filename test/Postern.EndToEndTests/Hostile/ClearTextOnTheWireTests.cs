using System.Security.Authentication;
using Postern.TestKit;
using Postern.TestKit.Hostile;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>What <c>StartTlsTests</c>, <c>CrossProtocolTests</c> and <c>SmugglingTests</c> say to a scripted session, said to the published program and to nginx.</summary>
public sealed class ClearTextOnTheWireTests
{
    private const string NoHandshake = "no handshake";
    private const string Forgotten = "forgotten";

    /// <summary>A1 to A7: whatever is sent in clear behind the command is never answered, nor remembered, inside TLS.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task StartTls_Injections(MailProxy proxy)
    {
        var inOneSegment = new Outcomes();
        var byteByByte = new Outcomes();
        var glued = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await HostileSite.EachAsync(
            from dialect in HostileSite.Protocols.Select(Dialect.Of) from injection in dialect.Injections select (dialect, injection),
            async one =>
            {
                (Dialect dialect, string injection) = one;
                string name = injection[..Math.Min(30, injection.Length)];
                inOneSegment.Add(await InjectAsync(site, dialect, client => client.WriteAsync(dialect.StartTls + injection)), name);
                if (injection.Length < 200)
                {
                    byteByByte.Add(await InjectAsync(site, dialect, client => client.WriteByteByByteAsync(dialect.StartTls + injection)), name);
                }

                glued.Add(
                    await InjectAsync(site, dialect, client => client.WriteAsync(dialect.StartTls), client => client.WriteAsync(injection)), name);
            },
            atOnce: 4);

        // How much of it is read with the command, and how much as the beginning of the handshake, is a matter of timing.
        inOneSegment.AssertAreAmong(NoHandshake, Forgotten);
        byteByByte.AssertAreAmong(NoHandshake, Forgotten);
        glued.AssertAre(NoHandshake);
        Assert.Empty(site.Requests);
        await site.AssertNothingLeftAsync();
    }

    /// <summary>ALPACA: a handshake for another protocol.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task Alpn(MailProxy proxy)
    {
        var own = new Outcomes();
        var foreign = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        foreach (string protocol in HostileSite.Protocols)
        {
            foreach (string[]? names in (string[]?[])[null, [protocol], ["h2", protocol]])
            {
                own.Add(await OfferAsync(site, protocol, names), string.Join(' ', names ?? []));
            }

            foreach (string name in (string[])["h2", "http/1.1", "ftp", "managesieve", "x", protocol.ToUpperInvariant(), protocol == "imap" ? "pop3" : "imap"])
            {
                foreign.Add(await OfferAsync(site, protocol, [name]), name);
            }
        }

        own.AssertAre("accepted");
        foreign.AssertAre(NoHandshake);
    }

    /// <summary>ALPACA: a browser's request, whose body holds commands.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task HttpRequest(MailProxy proxy)
    {
        var outcomes = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        foreach ((string protocol, string method) in
            from protocol in HostileSite.Protocols
            from method in (string[])["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT"]
            select (protocol, method))
        {
            await using ScriptedConnection client = await site.ConnectAsync(protocol);
            await client.WriteAsync($"{method} /<script> HTTP/1.1\r\n");
            string reply = await client.ReadLineAsync() ?? "";
            string reflected = reply.Contains(method, StringComparison.Ordinal) ? "reflected, " : "";
            int asked = site.Requests.Count;
            try
            {
                await HostileSite.SayAsync(client, "Host: x\r\n\r\n" + Dialect.Of(protocol).SignIn);
                _ = await client.ReadLineAsync();
            }
            catch (Exception e) when (e is IOException)
            {
                // Closed.
            }

            outcomes.Add(reflected + (site.Requests.Count > asked ? "the body signs in" : "closed"), $"{protocol} {method}");
        }

        // In IMAP the first word is a tag, which the reply repeats.
        outcomes.AssertAre(proxy == MailProxy.Postern ? ["closed"] : ["the body signs in", "reflected, the body signs in"]);
    }

    /// <summary>SMTP smuggling: what ends a line before login, and that nothing is made of line ends after it.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task LineEnds(MailProxy proxy)
    {
        var ended = new Outcomes();
        var spoilt = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        foreach (string protocol in HostileSite.Protocols)
        {
            foreach (string command in (string[])["NOOP\n", "NOOP\rNOOP\r\n", "NOOP\r\r\n", "NOOP\0\r\n"])
            {
                await using ScriptedConnection client = await site.ConnectAsync(protocol);
                await client.WriteAsync((protocol == "imap" ? "a " : "") + command);
                string reply = await client.ReadLineAsync() ?? "";
                (command == "NOOP\n" ? ended : spoilt).Add(
                    reply == Dialect.Of(protocol).Invalid.Replace('*', 'a') ? "invalid" : reply.Contains("OK", StringComparison.Ordinal) ? "OK" : reply, $"{protocol} {command}");
            }
        }

        ended.AssertAre("OK");
        spoilt.AssertAre("invalid");
    }

    /// <summary>One byte each tenth of a second, while <c>timeout</c> is two seconds: traffic does not prolong the time before login.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task ClientThatDrips(MailProxy proxy)
    {
        var outcomes = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await HostileSite.EachAsync(
            HostileSite.Protocols,
            async protocol =>
            {
                const int Enough = 150;
                await using ScriptedConnection client = await site.ConnectAsync(protocol, hurried: true);
                Task<string> end = client.ReadToEndAsync();
                int sent = 0;
                try
                {
                    while (!end.IsCompleted && sent < Enough)
                    {
                        await client.WriteAsync("x");
                        sent++;
                        await Task.WhenAny(end, Task.Delay(100, TestContext.Current.CancellationToken));
                    }
                }
                catch (IOException)
                {
                    // Closed meanwhile.
                }

                outcomes.Add(sent < Enough ? "ended by timeout" : "still there", $"{protocol}, {sent} bytes");
            });
        outcomes.AssertAre("ended by timeout");
    }

    private static async Task<string> InjectAsync(
        HostileSite site, Dialect dialect, Func<ScriptedConnection, Task> say, Func<ScriptedConnection, Task>? sayThen = null)
    {
        await using ScriptedConnection client = await site.ConnectAsync(dialect.Protocol);
        try
        {
            await say(client);
            Assert.Equal(dialect.GoAhead, await client.ReadLineAsync());
            await (sayThen?.Invoke(client) ?? Task.CompletedTask);
            await client.StartTlsAsync();
            await client.WriteAsync(dialect.Marker);
            string reply = await client.ReadLineAsync() ?? "";
            return dialect.MarkerReply.StartsWith(reply, StringComparison.Ordinal) ? Forgotten : "answered inside TLS: " + reply;
        }
        catch (Exception e) when (e is AuthenticationException or IOException or InvalidOperationException)
        {
            // The last: an alert came before our side had begun.
            return NoHandshake;
        }
    }

    private static async Task<string> OfferAsync(HostileSite site, string protocol, string[]? names)
    {
        await using ScriptedConnection client = await ScriptedConnection.ConnectAsync(site.TlsPort(protocol));
        try
        {
            await client.StartTlsAsync(applicationProtocols: names);
            return (await client.ReadLineAsync() ?? "").StartsWith(Dialect.Of(protocol).Greeting, StringComparison.Ordinal) ? "accepted" : "no greeting";
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            return NoHandshake;
        }
    }
}
