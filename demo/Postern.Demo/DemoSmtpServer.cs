using System.Net;
using System.Net.Sockets;
using Postern.Demo.Smtp;

namespace Postern.Demo;

/// <summary>
/// A small SMTP server (RFC 5321) in clear text on a loopback port: delivers to the INBOX of its users, sends nothing on. Learns from
/// a proxy who the client is (XCLIENT, AUTH PLAIN) and writes it into the message's Received line.
/// </summary>
public sealed class DemoSmtpServer : IAsyncDisposable
{
    private readonly DemoListener _listener;

    /// <summary>Starts the server.</summary>
    /// <param name="mail">Where it delivers.</param>
    /// <param name="port">0 lets the system choose.</param>
    public DemoSmtpServer(DemoMail mail, int port = 0)
    {
        _listener = new DemoListener(port, async (client, stop) =>
        {
            await using var stream = new NetworkStream(client);
            await new SmtpSession(mail, new LineStream(stream)).RunAsync(stop);
        });
    }

    public IPEndPoint EndPoint => _listener.EndPoint;

    public ValueTask DisposeAsync() => _listener.DisposeAsync();
}
