using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.Net;
using Postern.Net.Resolving;
using Postern.Net.Tests.Scripted;

namespace Postern.Fuzz.Targets;

/// <summary>
/// Answers of a name server, through the DNS library, as the name of a client: the input's two halves, split by 0xF0 0xF0, answer the query
/// for the address and the one for the name. Id, and the question if the input begins with a zero, are the query's.
/// </summary>
internal sealed class DnsTarget : IFuzzTarget, IDisposable
{
    private const int HeaderBytes = 12;

    private static readonly byte[] _separator = [0xF0, 0xF0];

    private readonly ScriptedLoop _loop = new();
    private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly ClientNameResolver _resolver;
    private byte[] _input = [];
    private int _queries;

    public DnsTarget()
    {
        _server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _resolver = new ClientNameResolver(new ResolverSettings
        {
            Servers = [EndpointAddress.FromIP(IPAddress.Loopback, ((IPEndPoint)_server.LocalEndPoint!).Port)],
            Timeout = TimeSpan.FromMilliseconds(200),
            Valid = TimeSpan.Zero,
        });
    }

    public string Name => "dns";

    public IReadOnlyList<string> Dictionary { get; } =
        ["\xF0\xF0", "\xC0\x0C\0\x0C\0\x01\0\0\0\x3C\0\x08\x01h\x04test\0", "\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01", "\xC0\x0C", "\0\x05", "\x81\x80", "\x83\x80", "\x3F", "\xC0\x00"];

    public void Dispose()
    {
        _loop.Dispose();
        _server.Dispose();
    }

    public void Run(ReadOnlySpan<byte> input)
    {
        _input = input.ToArray();
        _queries = 0;
        (Connection connection, ScriptedSocket socket) = _loop.Accept();
        Task<ClientName> lookup = ResolveAsync(connection);
        byte[] query = new byte[1024];
        while (!lookup.IsCompleted)
        {
            _loop.Loop.RunOnce();
            if (_server.Available > 0)
            {
                EndPoint from = new IPEndPoint(IPAddress.Any, 0);
                int length = _server.ReceiveFrom(query, ref from);
                _server.SendTo(Answer(query.AsSpan(0, length)), from);
            }
            else
            {
                _ = Thread.Yield();
            }
        }

        connection.Close();
        _ = socket;
        ClientName name = lookup.GetAwaiter().GetResult();
        Oracle.Holds(_queries <= 100, "queries without end");
        bool isName = name.Text is not (ClientName.Unavailable or ClientName.TemporarilyUnavailable);
        Oracle.Holds(!isName || (name.Text.Length <= 255 && name.Text.All(ch => char.IsAsciiLetterOrDigit(ch) || ch is '-' or '.')), $"name {name.Text}");
        Oracle.Holds(!isName || (_queries > 1 && input.IndexOf((ReadOnlySpan<byte>)[192, 0, 2, 1]) >= 0), $"name {name.Text} without a way back");
    }

    private async Task<ClientName> ResolveAsync(Connection connection) =>
        await _resolver.Resolve(EndpointAddress.TryParseIP("192.0.2.1", 0)!, connection);

    private byte[] Answer(ReadOnlySpan<byte> query)
    {
        _queries++;
        bool isReverse = Encoding.Latin1.GetString(query).Contains("arpa", StringComparison.OrdinalIgnoreCase);
        int split = _input.AsSpan().IndexOf(_separator);
        byte[] half = split < 0 ? _input : isReverse ? _input[..split] : _input[(split + _separator.Length)..];
        int questionEnd = HeaderBytes + query[HeaderBytes..].IndexOf((byte)0) + 5;
        byte[] question = query[..questionEnd].ToArray();
        if (half.Length == 0 || half[0] != 0)
        {
            return [.. question[..2], .. half];
        }

        (question[2], question[3], question[10], question[11]) = (0x81, 0x80, 0, 0);
        (question[6], question[7]) = (0, half.Length > 1 ? half[1] : (byte)0);
        return [.. question, .. half[Math.Min(2, half.Length)..]];
    }
}
