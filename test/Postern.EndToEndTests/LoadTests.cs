using System.Globalization;
using Postern.Demo;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>Many sessions: at once, and one after the other without anything left behind.</summary>
public sealed class LoadTests(MailSite site)
{
    [Fact]
    public async Task ThreeHundredSessions_AtOnce_EachReachItsOwnMailbox()
    {
        const int count = 300;
        string[] users = [.. Enumerable.Range(0, count).Select(_ => MailSite.NewUser())];
        int descriptorsBefore = DescriptorsOf(site.Proxy.ProcessId, site.AuthPort);

        Session[] sessions = await Task.WhenAll(users.Select((user, i) => Session.OpenAsync(
            i % 2 == 0 ? site.TlsPort : site.StartTlsPort, i % 2 == 0, user, MailSite.Password)));
        string[] greetings = await Task.WhenAll(sessions.Select((session, i) => session.CommandAsync($"STATUS INBOX (MESSAGES)")));
        string[] appended = await Task.WhenAll(sessions.Select((session, i) => session.CommandAsync($"APPEND INBOX {{{i + 10}+}}\r\n{new string('x', i + 10)}")));
        string[] sizes = await Task.WhenAll(sessions.Select(async session =>
            await session.CommandAsync("SELECT INBOX") + await session.CommandAsync("FETCH 1 (RFC822.SIZE)")));

        Assert.All(greetings, reply => Assert.Contains("(MESSAGES 0)", reply, StringComparison.Ordinal));
        Assert.All(appended, reply => Assert.Contains(" OK ", reply, StringComparison.Ordinal));
        for (int i = 0; i < count; i++)
        {
            Assert.Contains($"RFC822.SIZE {i + 10})", sizes[i], StringComparison.Ordinal);
        }

        foreach (Session session in sessions)
        {
            await session.DisposeAsync();
        }

        await Deadline.UntilAsync(
            () => DescriptorsOf(site.Proxy.ProcessId, site.AuthPort) <= descriptorsBefore,
            () => $"{DescriptorsOf(site.Proxy.ProcessId, site.AuthPort)} descriptors are open, {descriptorsBefore} were before");
    }

    /// <summary><c>POSTERN_LOGINS</c> says how many (default 5000), a quarter of them over TLS.</summary>
    [Fact]
    public async Task ManyLogins_OneAfterTheOther_LeaveNoMemoryAndNoDescriptors()
    {
        const int warmUp = 2000;
        const long allowedGrowthKilobytes = 6 * 1024;
        int logins = int.Parse(Environment.GetEnvironmentVariable("POSTERN_LOGINS") is { Length: > 0 } number ? number : "5000", CultureInfo.InvariantCulture);
        await using DemoServers servers = DemoServers.Start(waitSeconds: 0);
        await using ProxyPorts proxy = await ProxyPorts.StartAsync(servers.Auth.Url);
        int id = proxy.Program.ProcessId;
        await LoginAsync(proxy, warmUp);
        int descriptorsBefore = await SettledDescriptorsAsync(id, servers.Auth.EndPoint.Port, int.MaxValue);
        long kilobytesBefore = ProcessMemory.KilobytesOf(id);

        await LoginAsync(proxy, logins);

        int descriptors = await SettledDescriptorsAsync(id, servers.Auth.EndPoint.Port, descriptorsBefore);
        long kilobytes = ProcessMemory.KilobytesOf(id);
        Assert.True(descriptors <= descriptorsBefore, $"{descriptors} descriptors are open, {descriptorsBefore} were before");
        Assert.True(
            kilobytes - kilobytesBefore <= allowedGrowthKilobytes,
            $"memory grew from {kilobytesBefore} to {kilobytes} kB in {logins} logins");
    }

    private static Task LoginAsync(ProxyPorts proxy, int count) => Parallel.ForEachAsync(
        Enumerable.Range(0, count),
        new ParallelOptions { MaxDegreeOfParallelism = 8 },
        async (i, _) =>
        {
            DemoUser user = DemoServers.Users[i % DemoServers.Users.Count];
            await using Session session = await Session.OpenAsync(i % 4 == 0 ? proxy.Tls : proxy.StartTls, i % 4 == 0, user.Name, user.Password);
            Assert.Contains("* BYE", await session.CommandAsync("LOGOUT"), StringComparison.Ordinal);
        });

    private static async Task<int> SettledDescriptorsAsync(int id, int authPort, int wanted)
    {
        // Without a wanted number: wait until no TCP session is left, that is, until the number stops falling.
        int last = int.MaxValue;
        await Deadline.UntilAsync(
            () =>
            {
                int now = DescriptorsOf(id, authPort);
                bool settled = now <= wanted && now == last;
                last = now;
                return settled;
            },
            () => $"{last} descriptors are open, {wanted} are wanted");
        return last;
    }

    /// <summary>
    /// The open descriptors, without connections to the auth server: a proxy may keep some of these for the next login.
    /// </summary>
    private static int DescriptorsOf(int id, int authPort)
    {
        string remote = $":{authPort:X4}";
        HashSet<string> kept = [.. File.ReadLines("/proc/net/tcp")
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields[2].EndsWith(remote, StringComparison.Ordinal))
            .Select(fields => $"socket:[{fields[9]}]")];
        return new DirectoryInfo($"/proc/{id}/fd").EnumerateFileSystemInfos().Count(entry => entry.LinkTarget is { } target && !kept.Contains(target));
    }
}
