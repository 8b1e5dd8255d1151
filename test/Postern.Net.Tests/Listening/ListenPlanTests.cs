using Postern.Net.Listening;
using Xunit;

namespace Postern.Net.Tests.Listening;

/// <summary>Which sockets the listen directives need, and which server a client belongs to (mail-proxy 2.4).</summary>
public sealed class ListenPlanTests
{
    [Fact]
    public void Build_NoWildcard_OneSocketPerAddress()
    {
        IReadOnlyList<ListenPlan> plans = ListenPlan.Build([Entry("127.0.0.1", 143), Entry("127.0.0.2", 143), Entry("::1", 143)]);
        Assert.Equal(["127.0.0.1:143", "127.0.0.2:143", "[::1]:143"], plans.Select(plan => plan.Socket.Settings.Text));
        Assert.All(plans, plan => Assert.False(plan.HasSpecific));
    }

    [Fact]
    public void Build_WildcardInAnyOrder_SpecificAddressesShareItsSocket()
    {
        ListenEntry specific = Entry("127.0.0.1", 143);
        ListenEntry wildcard = Entry("0.0.0.0", 143);
        foreach (ListenEntry[] order in (ListenEntry[][])[[specific, wildcard], [wildcard, specific]])
        {
            ListenPlan plan = Assert.Single(ListenPlan.Build(order));
            Assert.Same(wildcard, plan.Socket);
            Assert.True(plan.HasSpecific);
            Assert.Same(specific, plan.Choose(EndpointAddress.TryParseIP("127.0.0.1", 143)!));
            Assert.Same(wildcard, plan.Choose(EndpointAddress.TryParseIP("127.0.0.3", 143)!));
        }
    }

    [Fact]
    public void Build_WildcardOfAnotherFamilyOrPort_DoesNotShare()
    {
        IReadOnlyList<ListenPlan> plans = ListenPlan.Build([Entry("0.0.0.0", 143), Entry("::", 143), Entry("127.0.0.1", 993), Entry("::1", 143)]);
        Assert.Equal(["0.0.0.0:143", "[::]:143", "127.0.0.1:993"], plans.Select(plan => plan.Socket.Settings.Text));
        Assert.False(plans[0].HasSpecific);
        Assert.True(plans[1].HasSpecific);
    }

    [Fact]
    public void Build_OwnSocketBesideTheWildcard_GetsOne()
    {
        ListenEntry own = Entry("127.0.0.1", 143, ownSocket: true);
        IReadOnlyList<ListenPlan> plans = ListenPlan.Build([Entry("0.0.0.0", 143), own, Entry("127.0.0.2", 143)]);
        Assert.Equal(2, plans.Count);
        Assert.Contains(plans, plan => plan.Socket == own && !plan.HasSpecific);
        ListenPlan shared = plans.Single(plan => plan.Socket.Settings.Address.IsWildcard);
        Assert.Equal("127.0.0.2:143", shared.Choose(EndpointAddress.TryParseIP("127.0.0.2", 143)!).Settings.Text);
    }

    [Fact]
    public void Choose_MappedAddressOnADualStackSocket_ComparedAsSixteenBytes()
    {
        ListenEntry mapped = Entry("::ffff:127.0.0.1", 143);
        ListenPlan plan = Assert.Single(ListenPlan.Build([Entry("::", 143), mapped]));
        Assert.Same(mapped, plan.Choose(EndpointAddress.TryParseIP("::ffff:127.0.0.1", 143)!));
        Assert.NotSame(mapped, plan.Choose(EndpointAddress.TryParseIP("::1", 143)!));
    }

    [Fact]
    public void Build_UnixSockets_OneEach()
    {
        ListenEntry[] entries = [Unix("/run/a"), Unix("/run/b")];
        Assert.Equal(2, ListenPlan.Build(entries).Count);
    }

    internal static ListenEntry Entry(string address, int port, bool ownSocket = false, IClientHandler? handler = null) => new(
        new ListenSettings { Address = EndpointAddress.TryParseIP(address, port)!, OwnSocket = ownSocket }, handler ?? new NoClients());

    internal static ListenEntry Unix(string path, IClientHandler? handler = null) =>
        new(new ListenSettings { Address = EndpointAddress.FromUnixPath(path) }, handler ?? new NoClients());

    private sealed class NoClients : IClientHandler
    {
        public void OnClient(Connection client, EndpointAddress peer, ListenSettings listen) => client.Close();

        public void OnNoPlace(int workerConnections)
        {
        }
    }
}
