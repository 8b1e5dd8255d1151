using Postern.Net.Relaying;
using Postern.Net.Tests.Scripted;

namespace Postern.Net.Tests.Relaying;

/// <summary>Two scripted connections joined by a relay, and how it ended.</summary>
internal sealed class RelayHarness : IRelayOwner, IDisposable
{
    public RelayHarness()
    {
        (Client, ClientSocket) = Script.Accept();
        (Upstream, UpstreamSocket) = Script.Accept();
    }

    public ScriptedLoop Script { get; } = new();

    public Connection Client { get; set; }

    public ScriptedSocket ClientSocket { get; }

    public Connection Upstream { get; }

    public ScriptedSocket UpstreamSocket { get; }

    public RelayOutcome? Outcome { get; private set; }

    public int Endings { get; private set; }

    public void Start(double idleSeconds = 60)
    {
        Relay.Start(Client, Upstream, TimeSpan.FromSeconds(idleSeconds), this);
        Script.Settle();
    }

    public void OnRelayEnded(Relay relay, RelayOutcome outcome)
    {
        Outcome = outcome;
        Endings++;
    }

    public void Dispose() => Script.Dispose();
}
