using System.Diagnostics;
using System.Globalization;
using Postern.EndToEndTests.Life;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>
/// A crowd of clients nobody has vouched for, in all the states of docs/security.md: memory stays under what is stated there, somebody else
/// signs in meanwhile, and when they have gone memory and descriptors come back. <c>POSTERN_CROWD</c> says how many clients (default 400);
/// each takes a descriptor of the test and one of the proxy.
/// </summary>
public sealed class HostileCrowdTests
{
    private static readonly int _clients = int.Parse(
        Environment.GetEnvironmentVariable("POSTERN_CROWD") is { Length: > 0 } number ? number : "400", NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>The table's figures in KB.</summary>
    private static readonly Dictionary<HostileState, int> _stated = new()
    {
        [HostileState.Greeted] = 16,
        [HostileState.CommandWithoutEnd] = 16,
        [HostileState.Sasl] = 24,
        [HostileState.WaitingForAuth] = 24,
        [HostileState.HandshakeWithoutEnd] = 96,
        [HostileState.TlsGreeted] = 32,
        [HostileState.TlsCommandWithoutEnd] = 64,
        [HostileState.TlsWaitingForAuth] = 64,
    };

    [Fact]
    public Task HalfOpenHandshakes_MemoryIsBoundedAndComesBack() => RunAsync([HostileState.HandshakeWithoutEnd]);

    [Fact]
    public Task MixedStates_MemoryIsBoundedAndComesBack() => RunAsync(Enum.GetValues<HostileState>());

    private static async Task RunAsync(HostileState[] states)
    {
        const int WarmUpClients = 100;

        // Files, sockets, one connection to the auth server.
        const int OwnDescriptors = 40;
        await using EchoBackends backends = new((login, _) => login == "user" ? null : EchoBackends.Silence);
        await using ProxyPorts proxy = await ProxyPorts.StartAsync(
            string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{backends.AuthPort}/"), (_clients * 2) + 4096, "timeout 30m; auth_http_timeout 30m;");
        int id = proxy.Program.ProcessId;
        List<Stream> held = [];
        try
        {
            await EnterAsync(proxy, states, WarmUpClients, held);
            await SignInAsync(proxy);
            await LeaveAsync(proxy, backends, held);
            int descriptors = ProcessMemory.DescriptorsOf(id);
            await Deadline.UntilAsync(
                () => (descriptors = ProcessMemory.DescriptorsOf(id)) < OwnDescriptors, () => $"{descriptors} descriptors are open without any client");
            long before = ProcessMemory.KilobytesOf(id);

            long start = Stopwatch.GetTimestamp();
            await EnterAsync(proxy, states, _clients, held);
            TimeSpan arrived = Stopwatch.GetElapsedTime(start);
            long grown = ProcessMemory.KilobytesOf(id) - before;
            long stated = Enumerable.Range(0, _clients).Sum(i => _stated[states[i % states.Length]]);
            Assert.True(grown <= stated, $"{_clients} clients made memory grow by {grown} KB, {stated} are stated");
            Assert.True(Established(proxy) >= _clients, "some of them were turned away");
            start = Stopwatch.GetTimestamp();
            await SignInAsync(proxy);
            TimeSpan signedIn = Stopwatch.GetElapsedTime(start);

            await LeaveAsync(proxy, backends, held);
            await Deadline.UntilAsync(
                () => ProcessMemory.DescriptorsOf(id) <= descriptors,
                () => $"{ProcessMemory.DescriptorsOf(id)} descriptors are open, {descriptors} were before",
                TimeSpan.FromSeconds(30));
            long allowed = 4096 + (grown / 10);
            start = Stopwatch.GetTimestamp();
            await Deadline.UntilAsync(
                () => ProcessMemory.KilobytesOf(id) - before <= allowed,
                () => $"{ProcessMemory.KilobytesOf(id) - before} KB of {grown} were not given back, {allowed} may stay",
                TimeSpan.FromSeconds(30));
            TestContext.Current.SendDiagnosticMessage(string.Create(
                CultureInfo.InvariantCulture,
                $"{_clients} clients, arrived in {arrived.TotalSeconds:F0} s: {grown / 1024} MB of {stated / 1024}, {ProcessMemory.KilobytesOf(id) - before} KB stay {Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s later; good clients {signedIn.TotalMilliseconds:F0} ms"));
        }
        finally
        {
            held.ForEach(stream => stream.Dispose());
        }
    }

    /// <summary>Brings so many clients into the states, by turns, and waits until the proxy has read what they said.</summary>
    private static async Task EnterAsync(ProxyPorts proxy, HostileState[] states, int count, List<Stream> held)
    {
        for (int i = 0; i < count; i++)
        {
            held.Add(await HostileClients.EnterAsync(proxy, states[i % states.Length]));
        }

        await Deadline.UntilAsync(
            () => HostileClients.ConnectionsTo(proxy.StartTls).Concat(HostileClients.ConnectionsTo(proxy.Tls)).All(waiting => waiting == 0),
            () => "the proxy does not read",
            TimeSpan.FromSeconds(60));
    }

    /// <summary>They hang up, all at once.</summary>
    private static async Task LeaveAsync(ProxyPorts proxy, EchoBackends backends, List<Stream> held)
    {
        held.ForEach(stream => stream.Dispose());
        held.Clear();

        // A question to the auth server outlives its client, up to auth_http_timeout.
        await backends.EndSilenceAsync();
        await Deadline.UntilAsync(() => Established(proxy) == 0, () => $"{Established(proxy)} connections are left", TimeSpan.FromSeconds(60));
    }

    private static int Established(ProxyPorts proxy) =>
        HostileClients.ConnectionsTo(proxy.StartTls).Count + HostileClients.ConnectionsTo(proxy.Tls).Count;

    private static async Task SignInAsync(ProxyPorts proxy)
    {
        foreach (bool tls in (bool[])[false, true])
        {
            await using SteadyClient client = await SteadyClient.LogInAsync("imap", tls ? proxy.Tls : proxy.StartTls, tls, seed: 1);
            await Deadline.WithinAsync(
                async stop =>
                {
                    await client.ExchangeAsync(stop);
                    return true;
                },
                "a block to come back",
                TimeSpan.FromSeconds(30));
        }
    }
}
