using System.Security.Authentication;
using Postern.TestKit;
using Postern.TestKit.Hostile;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>
/// The published program under valgrind's memcheck: what connections do to OpenSSL and to the loop's own memory, while they shake hands, fail,
/// are reset, time out, are cancelled, relay, and end with their configuration.
/// </summary>
public sealed class NativeMemoryTests
{
    private const int Hup = 1;
    private const int Quit = 3;

    /// <summary>It runs some fifty times slower, on a machine with other work.</summary>
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task Connections_InEveryKindOfLife_NoMemoryErrorNothingLost()
    {
        using var folder = new TemporaryFolder();
        string report = folder.File("memcheck");

        // Only what nothing points to any more is lost: contexts that live to the end are reachable, or seem lost because managed memory
        // points to them.
        await using HostileSite site = await HostileSite.StartAsync(
            MailProxy.Postern,
            "ssl_session_cache shared:S:1m;",
            under: ["valgrind", "--tool=memcheck", "--leak-check=full", "--errors-for-leak-kinds=definite", "--show-leak-kinds=definite", "--log-file=" + report],
            limit: _limit,
            loops: 2);
        await ShakeHandsAsync(site);
        await FailHandshakesAsync(site);
        await JoinAsync(site);
        await CancelAsync(site);

        // A configuration with all its contexts goes while a session lives on in it.
        await using ScriptedConnection old = await ConnectAsync(site, "imap", SslProtocols.Tls13);
        site.Program.Signal(Hup);
        await Deadline.UntilAsync(() => site.Program.Log.Contains("reconfiguring", StringComparison.Ordinal), () => site.Program.Log, _limit);
        await ShakeHandsAsync(site);
        await old.WriteAsync("a LOGOUT\r\n");
        Assert.Equal("* BYE\r\na OK completed\r\n", await old.ReadToEndAsync());

        site.Program.Signal(Quit);
        await site.Program.WaitForExitAsync(_limit);
        string errors = await File.ReadAllTextAsync(report, TestContext.Current.CancellationToken);
        Assert.True(errors.Contains("ERROR SUMMARY: 0 errors", StringComparison.Ordinal), errors);
        Assert.DoesNotContain("[alert]", site.Program.Log, StringComparison.Ordinal);
    }

    /// <summary>Both versions, full and resumed, from the first byte and after STARTTLS.</summary>
    private static async Task ShakeHandsAsync(HostileSite site)
    {
        foreach (SslProtocols version in (SslProtocols[])[SslProtocols.Tls12, SslProtocols.Tls13, SslProtocols.Tls12, SslProtocols.Tls13])
        {
            await using ScriptedConnection client = await ConnectAsync(site, "imap", version);
            await client.WriteAsync("a NOOP\r\n");
            Assert.Equal("a OK completed\r\n", await client.ReadLineAsync());
        }

        Dialect dialect = Dialect.Of("smtp");
        await using ScriptedConnection late = await site.ConnectAsync("smtp");
        await late.WriteAsync(dialect.StartTls);
        Assert.Equal(dialect.GoAhead, await late.ReadLineAsync());
        await late.StartTlsAsync(limit: _limit);
        await late.WriteAsync(dialect.Marker);
        Assert.Equal(dialect.MarkerReply, await late.ReadLineAsync());
    }

    /// <summary>No TLS at all, half a ClientHello, a refused protocol, a reset in the middle, silence until the timeout.</summary>
    private static async Task FailHandshakesAsync(HostileSite site)
    {
        foreach (string garbage in (string[])["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05\x01\xFF\xFF\xFF\xFF", "\x16\x03\x01\x40\x00\x01"])
        {
            foreach (bool reset in (bool[])[false, true])
            {
                await using ScriptedConnection client = await ScriptedConnection.ConnectAsync(site.TlsPort("imap"), _limit);
                await client.WriteAsync(garbage);
                if (reset)
                {
                    client.Reset();
                }
                else
                {
                    await client.HalfCloseAsync();
                    _ = await client.ReadToEndAsync();
                }
            }
        }

        await using (ScriptedConnection foreign = await ScriptedConnection.ConnectAsync(site.TlsPort("imap"), _limit))
        {
            await Assert.ThrowsAnyAsync<Exception>(() => foreign.StartTlsAsync(applicationProtocols: ["h2"], limit: _limit));
        }

        await using ScriptedConnection silent = await ScriptedConnection.ConnectAsync(site.TlsPort("imap", hurried: true), _limit);
        await silent.WriteAsync("\x16\x03\x01");
        Assert.Equal("", await silent.ReadToEndAsync());
    }

    /// <summary>A relay under TLS, ended by each side in each way.</summary>
    private static async Task JoinAsync(HostileSite site)
    {
        foreach (PeerEnd end in Enum.GetValues<PeerEnd>())
        {
            (string login, ScriptedListener? backend) = site.Prepare(new Play(Play.Accept, BackendReplies: ["* OK hello\r\n", "a OK in\r\n", "more"], BackendEnd: end));
            await using ScriptedListener? listening = backend;
            await using ScriptedConnection client = await ConnectAsync(site, "imap", SslProtocols.Tls13);
            await client.WriteAsync($"a LOGIN {login} pass\r\n");
            Assert.Equal("a OK in\r\n", await client.ReadLineAsync());
            await client.WriteAsync(new string('x', 100_000) + "\n");
            Assert.Equal("more", await client.ReadAsync(4));
            if (end == PeerEnd.Stall)
            {
                client.Reset();
            }
            else
            {
                _ = await client.ReadToEndAsync();
            }
        }
    }

    /// <summary>Clients that leave while somebody else is being asked for them, and who is asked and fails.</summary>
    private static async Task CancelAsync(HostileSite site)
    {
        foreach (Play play in (Play[])
        [
            new("", PeerEnd.Stall), new("HTTP/1.0", PeerEnd.Reset), new(Play.Accept), new(Play.Accept, BackendReplies: [], BackendEnd: PeerEnd.Stall),
            new(Play.Accept, BackendReplies: ["* OK hello\r\n"], BackendEnd: PeerEnd.Reset),
        ])
        {
            (string login, ScriptedListener? backend) = site.Prepare(play);
            await using ScriptedListener? listening = backend;
            ScriptedConnection leaving = await ConnectAsync(site, "imap", SslProtocols.Tls13);
            await leaving.WriteAsync($"a LOGIN {login} pass\r\n");
            leaving.Reset();
            if (play is not { AuthEnd: PeerEnd.Stall } and not { BackendEnd: PeerEnd.Stall })
            {
                await using ScriptedConnection staying = await ConnectAsync(site, "imap", SslProtocols.Tls12);
                await staying.WriteAsync($"a LOGIN {login} pass\r\n");
                Assert.Equal("* BAD internal server error\r\n", await staying.ReadToEndAsync());
            }
        }

        await site.ReleaseAsync();
    }

    private static async Task<ScriptedConnection> ConnectAsync(HostileSite site, string protocol, SslProtocols version)
    {
        ScriptedConnection client = await ScriptedConnection.ConnectAsync(site.TlsPort(protocol), _limit);
        await client.StartTlsAsync(version, limit: _limit);
        Assert.StartsWith(Dialect.Of(protocol).Greeting, await client.ReadLineAsync(), StringComparison.Ordinal);
        return client;
    }
}
