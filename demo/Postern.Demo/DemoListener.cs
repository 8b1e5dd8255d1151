using System.Net;
using System.Net.Sockets;

namespace Postern.Demo;

/// <summary>Accepts connections on a loopback port and gives each to a handler; closing it ends all of them.</summary>
internal sealed class DemoListener : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<Task> _sessions = [];
    private readonly Task _accepting;

    /// <summary>Listens at once.</summary>
    /// <param name="port">0 lets the system choose.</param>
    /// <param name="handle">Talks to one client; the socket is closed when it returns or throws.</param>
    public DemoListener(int port, Func<Socket, CancellationToken, Task> handle)
    {
        _socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            _socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            _socket.Listen(1024);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }

        EndPoint = (IPEndPoint)_socket.LocalEndPoint!;
        _accepting = AcceptAsync(handle);
    }

    public IPEndPoint EndPoint { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _socket.Dispose();
        await _accepting;
        Task[] open;
        lock (_sessions)
        {
            open = [.. _sessions];
        }

        await Task.WhenAll(open);
        _stop.Dispose();
    }

    private async Task AcceptAsync(Func<Socket, CancellationToken, Task> handle)
    {
        while (!_stop.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _socket.AcceptAsync(_stop.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // One client that is gone again, or no descriptor for it: the next one may do.
                continue;
            }

            Task session = RunAsync(client, handle);
            lock (_sessions)
            {
                _sessions.Add(session);
            }

            _ = session.ContinueWith(Forget, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    private async Task RunAsync(Socket client, Func<Socket, CancellationToken, Task> handle)
    {
        using (client)
        {
            try
            {
                client.NoDelay = true;
                await handle(client, _stop.Token);
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The client is gone, or we are stopping.
            }
        }
    }

    private void Forget(Task session)
    {
        lock (_sessions)
        {
            _sessions.Remove(session);
        }
    }
}
