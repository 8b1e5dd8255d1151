using System.Net;
using System.Net.Sockets;
using Postern.Demo.Imap;

namespace Postern.Demo;

/// <summary>
/// A small IMAP4rev1 server (RFC 3501) in clear text on a loopback port: enough for mail clients to list, read, flag, append
/// and wait.
/// </summary>
public sealed class DemoImapServer : IAsyncDisposable
{
    private readonly DemoListener _listener;

    /// <summary>Starts the server.</summary>
    /// <param name="mail">Whose mail it shows.</param>
    /// <param name="port">0 lets the system choose.</param>
    public DemoImapServer(DemoMail mail, int port = 0)
    {
        _listener = new DemoListener(port, async (client, stop) =>
        {
            await using var stream = new NetworkStream(client);
            await new ImapSession(mail, new LineStream(stream)).RunAsync(stop);
        });
    }

    public IPEndPoint EndPoint => _listener.EndPoint;

    public ValueTask DisposeAsync() => _listener.DisposeAsync();
}
