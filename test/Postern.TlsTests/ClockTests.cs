using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>
/// The wall clock jumps ten years ahead and back while the published program runs (Debian's faketime, which leaves the clock that timers use
/// alone). Sessions and tickets must neither become eternal nor good for nothing.
/// </summary>
public sealed class ClockTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string Cache = "ssl_session_cache shared:S:1m; ";
    private const string AndKeys = Cache + "ssl_session_ticket_key ticket80;";

    [Theory]
    [InlineData("-tls1_2 -no_ticket", Cache)]
    [InlineData("-tls1_2", Cache)]
    [InlineData("-tls1_2", AndKeys)]
    [InlineData("-tls1_3", Cache)]
    [InlineData("-tls1_3", AndKeys)]
    [InlineData("-tls1_3", "")]
    public async Task WallClock_JumpsTenYearsAheadAndBack_SessionsKeepTheirTime(string version, string directives)
    {
        using var folder = new TemporaryFolder();
        await using TlsSite site = await StartAsync(folder, directives);
        string before = files.PathOf($"session-{Guid.NewGuid():N}");
        string ahead = files.PathOf($"session-{Guid.NewGuid():N}");
        await BeginAsync(site, version, before);
        Assert.True(await ResumesAsync(site, version, before), "no session at all");

        Set(folder, "+3650d");
        Assert.False(await ResumesAsync(site, version, before), "a session of ten years ago");
        await BeginAsync(site, version, ahead);
        Assert.True(await ResumesAsync(site, version, ahead), "no session after a jump ahead");

        Set(folder, "+0");
        Assert.False(await ResumesAsync(site, version, ahead), "a session that has yet to begin");
        string after = files.PathOf($"session-{Guid.NewGuid():N}");
        await BeginAsync(site, version, after);
        Assert.True(await ResumesAsync(site, version, after), "no session after a jump back");

        // A clock that is set by seconds, as it is every day, ends nothing.
        Set(folder, "-10");
        Assert.True(await ResumesAsync(site, version, after), "no session after a small step back");
    }

    /// <summary>Deadlines have a clock of their own; the log shows the time it is said to be.</summary>
    [Fact]
    public async Task WallClock_Jumps_NobodyIsTimedOutAndTheLogFollows()
    {
        using var folder = new TemporaryFolder();
        await using TlsSite site = await StartAsync(folder, "", "starttls on; timeout 60s;");
        using var waiting = new TcpClient("127.0.0.1", site.Port(1));
        using var reader = new StreamReader(waiting.GetStream());
        Assert.StartsWith("* OK", await ReadAsync(reader), StringComparison.Ordinal);

        int year = TimeProvider.System.GetUtcNow().AddDays(3650).Year;
        foreach (string offset in (string[])["+3650d", "+0", "-3650d", "+0"])
        {
            Set(folder, offset);
            await waiting.GetStream().WriteAsync("a NOOP\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
            Assert.Equal("a OK completed", await ReadAsync(reader));
            using var client = new TcpClient("127.0.0.1", site.Port(1));
            using var greeting = new StreamReader(client.GetStream());
            Assert.StartsWith("* OK", await ReadAsync(greeting), StringComparison.Ordinal);
        }

        await Deadline.UntilAsync(() => Years(site).Contains(year) && Years(site).Contains(year - 20), () => site.Log);
        Assert.DoesNotContain("timed out", site.Log, StringComparison.Ordinal);
    }

    private static HashSet<int> Years(TlsSite site) =>
        [.. site.Log.Split('\n').Where(line => line.Contains(" connected to ", StringComparison.Ordinal)).Select(line => int.Parse(line.AsSpan(0, 4), CultureInfo.InvariantCulture))];

    private static Task<string> ReadAsync(StreamReader reader) =>
        Deadline.WithinAsync(async stop => await reader.ReadLineAsync(stop) ?? "", "a line");

    private static async Task BeginAsync(TlsSite site, string version, string session)
    {
        SClient client = await SClient.ConnectAsync(site.Port(), $"{version} -sess_out {session}");
        Assert.True(client.Shaken && !client.Resumed, client.Output);
    }

    private static async Task<bool> ResumesAsync(TlsSite site, string version, string session)
    {
        SClient client = await SClient.ConnectAsync(site.Port(), $"{version} -sess_in {session}");
        Assert.True(client.Shaken, client.Output);
        return client.Resumed;
    }

    private Task<TlsSite> StartAsync(TemporaryFolder folder, params string[] servers)
    {
        Set(folder, "+0");
        string architecture = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64";
        string library = $"/usr/lib/{architecture}-linux-gnu/faketime/libfaketimeMT.so.1";
        Assert.True(File.Exists(library), "faketime is not installed; ./test.sh installs it");
        return TlsSite.StartAsync(
            MailProxy.Postern,
            files,
            new Dictionary<string, string>
            {
                ["LD_PRELOAD"] = library,
                ["FAKETIME_TIMESTAMP_FILE"] = folder.File("clock"),
                ["FAKETIME_NO_CACHE"] = "1",
                ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
                ["DONT_FAKE_MONOTONIC"] = "1",
            },
            servers);
    }

    /// <summary>In one step: the program may look at any time.</summary>
    private static void Set(TemporaryFolder folder, string offset) => File.Move(folder.Write("clock.new", offset + "\n"), folder.File("clock"), overwrite: true);
}
