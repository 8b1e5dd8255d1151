using System.Net;

namespace Postern.Demo;

/// <summary>
/// What stands behind the proxy in <c>postern demo</c>: an auth server and an IMAP server on free loopback ports, and two
/// users with a few messages. Everything lives in memory.
/// </summary>
public sealed class DemoServers : IDisposable
{
    public const string AliceName = "alice";
    public const string AlicePassword = "wonderland";
    public const string BobName = "bob";
    public const string BobPassword = "builder";

    private readonly DemoImapServer _imap;
    private readonly DemoAuthServer _auth;

    private DemoServers(DemoImapServer imap, DemoAuthServer auth)
    {
        _imap = imap;
        _auth = auth;
    }

    /// <summary>Port of the auth server on 127.0.0.1.</summary>
    public int AuthPort => _auth.Port;

    /// <summary>Port of the IMAP server on 127.0.0.1.</summary>
    public int ImapPort => _imap.Port;

    /// <summary>Starts both.</summary>
    public static DemoServers Start()
    {
        var users = new DemoUsers();
        users.Add(AliceName, AlicePassword);
        users.Add(BobName, BobPassword);
        var imap = DemoImapServer.Start(users);
        var auth = DemoAuthServer.Start(users, new IPEndPoint(IPAddress.Loopback, imap.Port));
        return new DemoServers(imap, auth);
    }

    public void Dispose()
    {
        _auth.Dispose();
        _imap.Dispose();
    }
}
