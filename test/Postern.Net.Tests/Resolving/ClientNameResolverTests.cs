using System.Net;
using Postern.Net.Resolving;
using Postern.Net.Tests.Scripted;
using Postern.TestKit.Scripted;
using Xunit;
using Wait = Postern.TestKit.Deadline;

namespace Postern.Net.Tests.Resolving;

/// <summary>The resolver against a name server of the test's own; what clients see of it is in the scenarios.</summary>
public sealed class ClientNameResolverTests : IDisposable
{
    private readonly ScriptedLoop _script = new();

    public void Dispose() => _script.Dispose();

    [Fact]
    public async Task Resolve_ManyClientsOfOneAddress_OneLookup()
    {
        await using ScriptedDns dns = ScriptedDns.Start(["1.2.0.192.in-addr.arpa PTR host.test", "host.test A 192.0.2.1"]);
        ClientNameResolver resolver = new(Settings(dns) with { Valid = TimeSpan.Zero });
        List<ClientName> names = [];
        for (int i = 0; i < 20; i++)
        {
            _ = ResolveAsync(resolver, "192.0.2.1", names);
        }

        await SettleAsync(() => names.Count == 20);
        Assert.All(names, name => Assert.Equal("host.test", name.Text));
        Assert.Equal(["PTR 1.2.0.192.in-addr.arpa", "A host.test"], dns.Queries);
    }

    [Fact]
    public async Task Resolve_WithoutCache_AsksAgain()
    {
        await using ScriptedDns dns = ScriptedDns.Start(["1.2.0.192.in-addr.arpa PTR host.test", "host.test A 192.0.2.1"]);
        ClientNameResolver resolver = new(Settings(dns) with { Valid = TimeSpan.Zero });
        List<ClientName> names = [];
        _ = ResolveAsync(resolver, "192.0.2.1", names);
        await SettleAsync(() => names.Count == 1);
        _ = ResolveAsync(resolver, "192.0.2.1", names);
        await SettleAsync(() => names.Count == 2);
        Assert.Equal(4, dns.Queries.Count);
    }

    [Theory]
    [InlineData("2001:db8::1", "v6.test")]
    [InlineData("::ffff:192.0.2.1", "v4.test")]
    [InlineData("192.0.2.2", ClientName.Unavailable)]
    public async Task Resolve_EachFamily(string client, string expected)
    {
        await using ScriptedDns dns = ScriptedDns.Start(
        [
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR v6.test",
            "v6.test AAAA 2001:db8::1",
            "1.2.0.192.in-addr.arpa PTR V4.Test",
            "v4.test A 192.0.2.1",
        ]);
        List<ClientName> names = [];
        _ = ResolveAsync(new ClientNameResolver(Settings(dns)), client, names);
        await SettleAsync(() => names.Count == 1);
        Assert.Equal(expected, names[0].Text);
    }

    [Fact]
    public async Task Resolve_FirstServerSilent_AsksTheNext()
    {
        await using ScriptedDns silent = ScriptedDns.Start(["1.2.0.192.in-addr.arpa PTR !silent", "host.test A !silent"]);
        await using ScriptedDns dns = ScriptedDns.Start(["1.2.0.192.in-addr.arpa PTR !2"]);
        ClientNameResolver resolver = new(Settings(silent, dns) with { Timeout = TimeSpan.FromSeconds(1) });
        List<ClientName> names = [];
        _ = ResolveAsync(resolver, "192.0.2.1", names);
        await SettleAsync(() => names.Count == 1);
        Assert.Equal(ClientName.TemporarilyUnavailable, names[0].Text);
    }

    /// <summary>N-03: only letters, digits, hyphen and dot.</summary>
    [Fact]
    public async Task Resolve_EveryByteInAName_OnlyHostNamesPass()
    {
        List<string> wrong = [];
        for (int value = 1; value < 256; value++)
        {
            char c = (char)value;
            await using ScriptedDns dns = ScriptedDns.Start([$"1.2.0.192.in-addr.arpa PTR a{c}b.test", $"a{c}b.test A 192.0.2.1"]);
            List<ClientName> names = [];
            _ = ResolveAsync(new ClientNameResolver(Settings(dns)), "192.0.2.1", names);
            await SettleAsync(() => names.Count == 1);
            bool passed = names[0].Text[0] != '[';
            if (passed != (char.IsAsciiLetterOrDigit(c) || c is '-' or '.'))
            {
                wrong.Add($"{value}: {names[0]}");
            }
        }

        Assert.Empty(wrong);
    }

    private static ResolverSettings Settings(params ScriptedDns[] servers) => new()
    {
        Servers = [.. servers.Select(server => EndpointAddress.FromIP(IPAddress.Loopback, server.Port))],
        Timeout = TimeSpan.FromSeconds(5),
    };

    private async Task ResolveAsync(ClientNameResolver resolver, string client, List<ClientName> names)
    {
        (Connection connection, _) = _script.Accept();
        names.Add(await resolver.Resolve(EndpointAddress.TryParseIP(client, 0)!, connection));
    }

    private Task SettleAsync(Func<bool> done) => Wait.UntilAsync(
        () =>
        {
            _script.Settle();
            return done();
        },
        () => "no answer");
}
