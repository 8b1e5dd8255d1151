using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Postern.Demo.Imap;

namespace Postern.Demo;

/// <summary>
/// A small IMAP4rev1 server (RFC 3501) in clear text on a loopback port: enough for mail clients to list, read, flag, append
/// and wait. Mailboxes live in memory, each user's beginning with a few messages.
/// </summary>
public sealed class DemoImapServer : IAsyncDisposable
{
    private readonly Dictionary<string, string> _passwords;
    private readonly ConcurrentDictionary<string, MailStore> _stores = new();
    private readonly DemoListener _listener;

    /// <summary>Starts the server.</summary>
    /// <param name="users">Who may log in.</param>
    /// <param name="port">0 lets the system choose.</param>
    public DemoImapServer(IEnumerable<DemoUser> users, int port = 0)
    {
        _passwords = users.ToDictionary(user => user.Name, user => user.Password);
        _listener = new DemoListener(port, ServeAsync);
    }

    public IPEndPoint EndPoint => _listener.EndPoint;

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    /// <summary>The user's mail; null when the user or the password is wrong.</summary>
    internal MailStore? Open(string user, string password) =>
        _passwords.GetValueOrDefault(user) == password ? _stores.GetOrAdd(user, MailStore.WithWelcome) : null;

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        await using var stream = new NetworkStream(client);
        await new ImapSession(this, stream).RunAsync(stop);
    }
}
