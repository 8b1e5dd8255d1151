using Postern.TestKit;
using Postern.TestKit.Hostile;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>What <c>FaultTests</c> does to a scripted session, done to the published program and to nginx.</summary>
public sealed class PeerFaultsOnTheWireTests
{
    private static readonly PeerEnd[] _ends = [PeerEnd.Close, PeerEnd.Reset, PeerEnd.Stall];

    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task AuthServer_EndsAtEveryByte(MailProxy proxy)
    {
        var outcomes = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await HostileSite.EachAsync(
            from protocol in HostileSite.Protocols from end in _ends from sent in Enumerable.Range(0, Play.Accept.Length) select (protocol, end, sent),
            async one => outcomes.Add(
                await site.SignInAsync(Dialect.Of(one.protocol), new Play(Play.Accept[..one.sent], one.end)),
                $"{one.protocol} {one.end} at {one.sent}"),
            atOnce: 300);
        outcomes.AssertAre("internal error");
        await site.AssertNothingLeftAsync();
    }

    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task Backend_EndsAtEveryByteOfEachReply(MailProxy proxy)
    {
        var outcomes = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await HostileSite.EachAsync(
            from dialect in HostileSite.Protocols.Select(Dialect.Of)
            from end in _ends
            from step in Enumerable.Range(0, dialect.BackendReplies.Count)
            from sent in Enumerable.Range(0, dialect.BackendReplies[step].Length)
            select (dialect, end, step, sent),
            async one => outcomes.Add(
                await site.SignInAsync(one.dialect, new Play(Play.Accept, BackendReplies: Said(one.dialect, one.step, one.sent), BackendEnd: one.end)),
                $"{one.dialect.Protocol} {one.end} at {one.sent} of reply {one.step}"),
            atOnce: 300);
        outcomes.AssertAre("internal error");
        await site.AssertNothingLeftAsync();
    }

    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task AuthServer_Garbage(MailProxy proxy)
    {
        var outcomes = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await HostileSite.EachAsync(
            from protocol in HostileSite.Protocols
            from garbage in Troublemakers.Garbage
            from sent in (int[])[0, 1, 5, 9, 15, 17, 25, 31, 33, 34, 50, 58, 70]
            select (protocol, garbage, sent),
            async one => outcomes.Add(
                await site.SignInAsync(Dialect.Of(one.protocol), new Play(Play.Accept[..one.sent] + one.garbage)),
                $"{one.protocol} \"{one.garbage[..Math.Min(8, one.garbage.Length)]}\" at {one.sent}"));

        // Cut off behind "Auth-Status: O" and ended there, it is a refusal.
        outcomes.AssertAre("internal error", "refused");
        await site.AssertNothingLeftAsync();
    }

    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task Backend_Garbage(MailProxy proxy)
    {
        var outcomes = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await HostileSite.EachAsync(
            from dialect in HostileSite.Protocols.Select(Dialect.Of)
            from garbage in Troublemakers.Garbage
            from step in Enumerable.Range(0, dialect.BackendReplies.Count)
            from sent in Enumerable.Range(0, 3)
            select (dialect, garbage, step, sent),
            async one => outcomes.Add(
                await site.SignInAsync(one.dialect, new Play(Play.Accept, BackendReplies: [.. Said(one.dialect, one.step, one.sent)[..^1], one.dialect.BackendReplies[one.step][..one.sent] + one.garbage])),
                $"\"{one.garbage[..Math.Min(8, one.garbage.Length)]}\" at {one.sent} of reply {one.step}"));
        outcomes.AssertAre("internal error");
        await site.AssertNothingLeftAsync();
    }

    /// <summary>One byte each tenth of a second; both have two seconds.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task PeersThatDrip(MailProxy proxy)
    {
        var drip = TimeSpan.FromMilliseconds(100);
        var outcomes = new Outcomes();
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await HostileSite.EachAsync(
            from dialect in HostileSite.Protocols.Select(Dialect.Of)
            from play in (Play[])
            [
                new("HTTP/1.0 200 OK\r\nX: " + new string('x', 200)) { Drip = drip },
                new(Play.Accept, BackendReplies: [dialect.BackendReplies[0][..^2] + new string('x', 80)]) { Drip = drip / 5 },
            ]
            select (dialect, play),
            async one => outcomes.Add(await site.SignInAsync(one.dialect, one.play), $"{one.dialect.Protocol}, {(one.play.BackendReplies is null ? "auth server" : "backend")}"));
        outcomes.AssertAre("internal error");
    }

    private static string[] Said(Dialect dialect, int step, int sent) =>
        [.. dialect.BackendReplies.Take(step), dialect.BackendReplies[step][..sent]];
}
