using System.Net;
using System.Net.Sockets;
using Postern.Demo.Pop3;

namespace Postern.Demo;

/// <summary>A small POP3 server (RFC 1939 with TOP and UIDL) in clear text on a loopback port: each user's INBOX.</summary>
public sealed class DemoPop3Server : IAsyncDisposable
{
    private readonly DemoListener _listener;

    /// <summary>Starts the server.</summary>
    /// <param name="mail">Whose mail it shows.</param>
    /// <param name="port">0 lets the system choose.</param>
    public DemoPop3Server(DemoMail mail, int port = 0)
    {
        _listener = new DemoListener(port, async (client, stop) =>
        {
            await using var stream = new NetworkStream(client);
            await new Pop3Session(mail, new LineStream(stream)).RunAsync(stop);
        });
    }

    public IPEndPoint EndPoint => _listener.EndPoint;

    public ValueTask DisposeAsync() => _listener.DisposeAsync();
}
