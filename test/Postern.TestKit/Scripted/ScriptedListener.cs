using System.Net;
using System.Net.Sockets;

namespace Postern.TestKit.Scripted;

/// <summary>A listening socket whose connections a script takes one by one, as the upstream or the auth server.</summary>
public sealed class ScriptedListener : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly string _what;

    private ScriptedListener(Socket socket, string what)
    {
        _socket = socket;
        _what = what;
    }

    /// <summary>The TCP port, or 0 for a unix socket.</summary>
    public int Port => _socket.LocalEndPoint is IPEndPoint tcp ? tcp.Port : 0;

    /// <summary>Whether somebody has connected and was not yet taken.</summary>
    public bool HasWaiting => _socket.Poll(0, SelectMode.SelectRead);

    public static ScriptedListener OnLoopback(string what) => ListenOnFreePort(IPAddress.Loopback, what);

    public static ScriptedListener OnLoopbackV6(string what) => ListenOnFreePort(IPAddress.IPv6Loopback, what);

    public static ScriptedListener OnUnixSocket(string path, string what) => Listen(new UnixDomainSocketEndPoint(path), what);

    public async Task<ScriptedConnection> AcceptAsync(TimeSpan? limit = null)
    {
        Socket socket = await Deadline.WithinAsync(async stop => await _socket.AcceptAsync(stop), $"a connection to the {_what}", limit);
        return new ScriptedConnection(socket) { Limit = limit ?? Deadline.Step };
    }

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    // Another test process may take the port between the choice and the bind.
    private static ScriptedListener ListenOnFreePort(IPAddress address, string what)
    {
        const int tries = 10;
        for (int i = 1; ; i++)
        {
            try
            {
                return Listen(new IPEndPoint(address, LoopbackPorts.Next()), what);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse && i < tries)
            {
                continue;
            }
        }
    }

    private static ScriptedListener Listen(EndPoint address, string what)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(address);
            socket.Listen();
            return new ScriptedListener(socket, what);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
