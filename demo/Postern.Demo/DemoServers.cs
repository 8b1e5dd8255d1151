using System.Net;

namespace Postern.Demo;

/// <summary>
/// Everything behind the proxy for a demonstration: IMAP, POP3 and SMTP servers over the same mail, and the auth server that knows
/// the users.
/// </summary>
public sealed class DemoServers : IAsyncDisposable
{
    private DemoServers(DemoImapServer imap, DemoPop3Server pop3, DemoSmtpServer smtp, int waitSeconds)
    {
        Imap = imap;
        Pop3 = pop3;
        Smtp = smtp;
        Auth = new DemoAuthServer(Users, UpstreamOf, waitSeconds: waitSeconds);
    }

    /// <summary>The two people of the demonstration.</summary>
    public static IReadOnlyList<DemoUser> Users { get; } = [new("alice", "wonderland"), new("bob", "builder")];

    public DemoImapServer Imap { get; }

    public DemoPop3Server Pop3 { get; }

    public DemoSmtpServer Smtp { get; }

    public DemoAuthServer Auth { get; }

    /// <summary>Starts all of them on loopback ports the system chooses; they serve until disposed.</summary>
    /// <param name="waitSeconds">Seconds a refused client waits; 0 closes its connection.</param>
    public static DemoServers Start(int waitSeconds = 1)
    {
        var mail = new DemoMail(Users);
        return new DemoServers(new DemoImapServer(mail), new DemoPop3Server(mail), new DemoSmtpServer(mail), waitSeconds);
    }

    public async ValueTask DisposeAsync()
    {
        await Auth.DisposeAsync();
        await Imap.DisposeAsync();
        await Pop3.DisposeAsync();
        await Smtp.DisposeAsync();
    }

    private IPEndPoint UpstreamOf(string protocol) => protocol switch
    {
        "pop3" => Pop3.EndPoint,
        "smtp" => Smtp.EndPoint,
        _ => Imap.EndPoint,
    };
}
