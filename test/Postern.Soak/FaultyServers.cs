using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Postern.Soak;

/// <summary>
/// The faults of auth server and backends, chosen by the login: who signs in as <c>backend-closes</c> is sent to a backend that closes.
/// </summary>
internal sealed class FaultyServers : IDisposable
{
    private const string AuthCloses = "auth-closes";
    private const string AuthIsCutOff = "auth-is-cut-off";
    private const string AuthSpeaksGarbage = "auth-speaks-garbage";
    private const string BackendIsNotThere = "backend-is-not-there";
    private const string BackendCloses = "backend-closes";
    private const string BackendResets = "backend-resets";
    private const string BackendSpeaksGarbage = "backend-speaks-garbage";

    /// <summary>This login is refused, and rightly.</summary>
    public const string Refused = "refused";

    private readonly Dictionary<string, int> _ports = [];
    private readonly List<Socket> _listeners = [];

    public FaultyServers()
    {
        _ports.Add(BackendCloses, Listen(static _ => { }));
        _ports.Add(BackendResets, Listen(static client => client.LingerState = new LingerOption(true, 0)));
        _ports.Add(BackendSpeaksGarbage, Listen(static client => _ = client.Send("\0\xFF rubbish\r\nmore of it\r\n"u8)));

        // Bound and not listening: refused.
        var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listeners.Add(closed);
        _ports.Add(BackendIsNotThere, ((IPEndPoint)closed.LocalEndPoint!).Port);
    }

    /// <summary>Logins for which something breaks: the client is to hear of an internal error.</summary>
    public static IReadOnlyList<string> Logins { get; } =
        [AuthCloses, AuthIsCutOff, AuthSpeaksGarbage, BackendIsNotThere, BackendCloses, BackendResets, BackendSpeaksGarbage];

    /// <summary>The auth server's response; null = the usual one.</summary>
    public string? Judge(string login, string protocol) => login switch
    {
        AuthCloses => "",
        AuthIsCutOff => "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Ser",
        AuthSpeaksGarbage => "\0rubbish\r\n\r\n",
        Refused => "HTTP/1.0 200 OK\r\nAuth-Status: Invalid login or password\r\n\r\n",
        _ when _ports.TryGetValue(login, out int port) => string.Create(
            CultureInfo.InvariantCulture, $"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\n\r\n"),
        _ => null,
    };

    public void Dispose() => _listeners.ForEach(listener => listener.Dispose());

    private int Listen(Action<Socket> serve)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(512);
        _listeners.Add(listener);
        _ = AcceptAsync(listener, serve);
        return ((IPEndPoint)listener.LocalEndPoint!).Port;
    }

    private static async Task AcceptAsync(Socket listener, Action<Socket> serve)
    {
        try
        {
            while (true)
            {
                using Socket client = await listener.AcceptAsync();
                try
                {
                    serve(client);
                }
                catch (SocketException)
                {
                    // It left first.
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The run is over.
        }
    }
}
