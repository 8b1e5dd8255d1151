namespace Postern.Demo;

/// <summary>Everything behind the proxy for a demonstration: an IMAP server with mail in it, and the auth server that knows its users.</summary>
public sealed class DemoServers : IAsyncDisposable
{
    private DemoServers(DemoImapServer imap, DemoAuthServer auth)
    {
        Imap = imap;
        Auth = auth;
    }

    /// <summary>The two people of the demonstration.</summary>
    public static IReadOnlyList<DemoUser> Users { get; } = [new("alice", "wonderland"), new("bob", "builder")];

    public DemoImapServer Imap { get; }

    public DemoAuthServer Auth { get; }

    /// <summary>Starts both on loopback ports the system chooses; they serve until disposed.</summary>
    /// <param name="waitSeconds">Seconds a refused client waits; 0 closes its connection.</param>
    public static DemoServers Start(int waitSeconds = 1)
    {
        var imap = new DemoImapServer(Users);
        return new DemoServers(imap, new DemoAuthServer(Users, imap.EndPoint, waitSeconds: waitSeconds));
    }

    public async ValueTask DisposeAsync()
    {
        await Auth.DisposeAsync();
        await Imap.DisposeAsync();
    }
}
