using System.Net;
using System.Net.Sockets;

namespace Postern.Demo;

/// <summary>Accepts on a free loopback port and runs one conversation per connection until disposed.</summary>
internal sealed class LineListener : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<LineStream, CancellationToken, Task> _converse;

    public LineListener(Func<LineStream, CancellationToken, Task> converse)
    {
        _converse = converse;
        _listener.Start(512);
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _ = AcceptAsync();
    }

    public int Port { get; }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        CancellationToken stop = _stop.Token;
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(stop).ConfigureAwait(false);
                client.NoDelay = true;
                _ = ServeAsync(client, stop);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The listener was disposed.
        }
    }

    private async Task ServeAsync(TcpClient client, CancellationToken stop)
    {
        using (client)
        {
            try
            {
                await _converse(new LineStream(client.GetStream()), stop).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or FormatException)
            {
                // The peer went away or talks nonsense: this conversation is over, others are not touched.
            }
        }
    }
}
