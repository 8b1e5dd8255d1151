using BenchmarkDotNet.Attributes;
using Postern.Auth;
using Postern.Net;
using Postern.Protocol.Http;

namespace Postern.MicroBenchmarks;

/// <summary>The auth server's part of a login: the request written, the response read.</summary>
[MemoryDiagnoser]
public class AuthHttpBenchmarks : IDisposable
{
    private readonly AuthResponseParser _parser = new();
    private readonly byte[] _response =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.10\r\nAuth-Port: 143\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"u8
        .ToArray();

    private readonly ScratchWriter _writer = new();
    private readonly Credentials _credentials = new(AuthMethod.Plain, "user@example.org"u8.ToArray(), "a secret"u8.ToArray(), []);
    private readonly AuthHttpSettings _settings = new()
    {
        Address = EndpointAddress.TryParseIP("127.0.0.1", 9000)!,
        Host = "auth.example.org",
        Uri = "/auth",
    };

    private EventLoop? _loop;
    private AuthRequest? _request;

    /// <summary>A request names its client's connection; nobody reads from or writes to this one.</summary>
    [GlobalSetup]
    public void Connect()
    {
        const int NobodysPort = 9;
        _loop = new EventLoop(LinuxSystemCalls.Instance);
        Connection client = Connection.Connect(_loop, EndpointAddress.TryParseIP("127.0.0.1", NobodysPort)!, out int errno, out string call)
            ?? throw new InvalidOperationException($"{call} failed ({errno})");
        _request = new AuthRequest
        {
            Protocol = "imap",
            LoginAttempt = 1,
            ClientAddress = "192.0.2.55",
            NeedsPassword = true,
            Client = client,
        };
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _request?.Client.Close();
        _loop?.Dispose();
        _credentials.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark]
    public int Request()
    {
        AuthHttpRequestWriter.Write(_settings, _request!, _credentials, _writer.Reset());
        return _writer.Written.Length;
    }

    [Benchmark]
    public AuthResponseResult Response()
    {
        _parser.Reset();
        return _parser.Parse(_response);
    }
}
