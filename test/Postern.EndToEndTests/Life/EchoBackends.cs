using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Postern.EndToEndTests.Life;

/// <summary>
/// An auth server that lets everybody in, and three backends, IMAP, POP3 and SMTP, that send back every byte that comes after the
/// login: whoever talks to them through a proxy knows what must arrive.
/// </summary>
internal sealed class EchoBackends : IAsyncDisposable
{
    /// <summary>For the judge: the auth server does not answer, and closes at <see cref="EndSilenceAsync"/>.</summary>
    public const string Silence = "silence";

    private readonly CancellationTokenSource _stop = new();
    private CancellationTokenSource _silence = new();
    private readonly ConcurrentBag<Socket> _clients = [];
    private readonly Dictionary<string, int> _ports;
    private readonly List<Socket> _listeners = [];
    private Socket _auth;

    private readonly Func<string, string, string?>? _judge;

    /// <param name="judge">The auth server's whole response to a login and a protocol; empty = it closes; null = as ever.</param>
    public EchoBackends(Func<string, string, string?>? judge = null)
    {
        _judge = judge;
        _ports = new Dictionary<string, int>
        {
            ["imap"] = Listen(ServeImapAsync),
            ["pop3"] = Listen(ServePop3Async),
            ["smtp"] = Listen(ServeSmtpAsync),
        };
        _auth = Open(0);
        AuthPort = ((IPEndPoint)_auth.LocalEndPoint!).Port;
        _ = AcceptAsync(_auth, ServeAuthAsync);
    }

    public int AuthPort { get; }

    /// <summary>The auth server dies with its connections, and another one starts on its port.</summary>
    public void RestartAuth()
    {
        _auth.Close();
        _auth = Open(AuthPort);
        _ = AcceptAsync(_auth, ServeAuthAsync);
    }

    /// <summary>Whoever waits for an answer is hung up on.</summary>
    public async Task EndSilenceAsync()
    {
        using CancellationTokenSource ended = _silence;
        _silence = new CancellationTokenSource();
        await ended.CancelAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await EndSilenceAsync();
        _silence.Dispose();
        await _stop.CancelAsync();
        _auth.Dispose();
        _listeners.ForEach(listener => listener.Dispose());
        foreach (Socket client in _clients)
        {
            client.Dispose();
        }

        _stop.Dispose();
    }

    private static Socket Open(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        socket.Listen(512);
        return socket;
    }

    private int Listen(Func<Socket, Task> serve)
    {
        Socket socket = Open(0);
        _listeners.Add(socket);
        _ = AcceptAsync(socket, serve);
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private async Task AcceptAsync(Socket listener, Func<Socket, Task> serve)
    {
        try
        {
            while (true)
            {
                Socket client = await listener.AcceptAsync(_stop.Token);
                _clients.Add(client);
                _ = GuardAsync(client, serve);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // Closed, with the test or to be opened again.
        }
    }

    private static async Task GuardAsync(Socket client, Func<Socket, Task> serve)
    {
        try
        {
            using (client)
            {
                await serve(client);
            }
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The client will notice what it misses.
        }
    }

    private async Task ServeImapAsync(Socket client)
    {
        await SendAsync(client, "* OK ready\r\n");
        string login = await ReadLineAsync(client);
        string line = login;
        while (line.EndsWith('}'))
        {
            // nginx sends login and password as literals.
            await SendAsync(client, "+ go on\r\n");
            line = await ReadLineAsync(client);
        }

        await SendAsync(client, login.Split(' ')[0] + " OK welcome\r\n");
        await EchoAsync(client);
    }

    private async Task ServePop3Async(Socket client)
    {
        await SendAsync(client, "+OK ready\r\n");
        _ = await ReadLineAsync(client);
        await SendAsync(client, "+OK\r\n");
        _ = await ReadLineAsync(client);
        await SendAsync(client, "+OK welcome\r\n");
        await EchoAsync(client);
    }

    private async Task ServeSmtpAsync(Socket client)
    {
        await SendAsync(client, "220 echo ESMTP\r\n");
        string line;
        do
        {
            line = await ReadLineAsync(client);
            await SendAsync(client, line.StartsWith("AUTH", StringComparison.OrdinalIgnoreCase) ? "235 2.7.0 welcome\r\n" : "250 echo\r\n");
        }
        while (!line.StartsWith("AUTH", StringComparison.OrdinalIgnoreCase));

        await EchoAsync(client);
    }

    private async Task EchoAsync(Socket client)
    {
        byte[] buffer = new byte[16 * 1024];
        int n;
        while ((n = await client.ReceiveAsync(buffer, _stop.Token)) > 0)
        {
            await SendAsync(client, buffer.AsMemory(0, n));
        }
    }

    private async Task ServeAuthAsync(Socket client)
    {
        // Byte by byte it would be busy for seconds with the long questions of a crowd.
        using var reader = new StreamReader(new NetworkStream(client), Encoding.Latin1);
        while (true)
        {
            string protocol = "";
            string login = "";
            while (await reader.ReadLineAsync(_stop.Token) is { Length: > 0 } line)
            {
                const string Header = "Auth-Protocol: ";
                const string Login = "Auth-User: ";
                protocol = line.StartsWith(Header, StringComparison.Ordinal) ? line[Header.Length..] : protocol;
                login = line.StartsWith(Login, StringComparison.Ordinal) ? line[Login.Length..] : login;
            }

            if (protocol.Length == 0)
            {
                return;
            }

            if (_judge?.Invoke(login, protocol) is { } response)
            {
                if (response == Silence)
                {
                    await Task.Delay(Timeout.Infinite, _silence.Token);
                }

                await SendAsync(client, response);
                return;
            }

            await SendAsync(client, string.Create(
                CultureInfo.InvariantCulture,
                $"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {_ports[protocol]}\r\n\r\n"));
        }
    }

    private Task SendAsync(Socket client, string text) => SendAsync(client, Encoding.ASCII.GetBytes(text));

    private async Task SendAsync(Socket client, ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await client.SendAsync(bytes, _stop.Token)..];
        }
    }

    /// <summary>One line without its end; empty at the end of the connection.</summary>
    private async Task<string> ReadLineAsync(Socket client)
    {
        var line = new StringBuilder();
        byte[] one = new byte[1];
        while (await client.ReceiveAsync(one, _stop.Token) > 0 && one[0] != '\n')
        {
            if (one[0] != '\r')
            {
                line.Append((char)one[0]);
            }
        }

        return line.ToString();
    }
}
