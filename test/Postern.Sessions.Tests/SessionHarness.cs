using System.Text;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tls;
using Postern.TestKit;

namespace Postern.Sessions.Tests;

/// <summary>One server block on a scripted kernel; the test is the client, the auth server and the backend.</summary>
internal sealed class SessionHarness : IDisposable
{
    private static readonly Lazy<(Dictionary<MailProtocol, TlsContext> Servers, TlsContext Client)> _tls = new(CreateTls);

    private readonly TemporaryFolder _folder = new();
    private readonly ErrorLogSet _logs = new(TimeProvider.System, new LogFiles(), "test");
    private readonly MailServer _server;

    public SessionHarness(
        Func<MailServerSettings, MailServerSettings>? change = null,
        bool ssl = false,
        Action<LoginNotice>? observer = null,
        int maxConnections = 100,
        bool proxyProtocol = false,
        LogLevel level = LogLevel.Debug,
        IReadOnlyList<AddressRange>? debugConnections = null)
    {
        Script = new ScriptedLoop(maxConnections);
        ErrorLogSettings target = new() { Kind = ErrorLogTargetKind.File, Path = _folder.File("log"), Level = level };
        if (!_logs.TryOpen([target], out ErrorLog? log, out string? error))
        {
            throw new InvalidOperationException(error);
        }

        Listen = new ListenSettings { Address = EndpointAddress.TryParseIP("0.0.0.0", 143)!, Ssl = ssl, ProxyProtocol = proxyProtocol };
        MailServerSettings settings = new()
        {
            Protocol = MailProtocol.Imap,
            Listen = [Listen],
            Tls = new TlsServerSettings { StartTls = StartTls.On },
            AuthHttp = new AuthHttpSettings { Address = EndpointAddress.TryParseIP("127.0.0.1", 9000)!, Host = "auth", Uri = "/" },
            ServerName = "mx.example.test",
            AuthMethods = AuthMethods.Plain | AuthMethods.Login,
            Capabilities = ["IMAP4rev1"],
        };
        settings = change?.Invoke(settings) ?? settings;
        _server = new MailServer(settings, _tls.Value.Servers[settings.Protocol], log) { LoginObserver = observer, DebugConnections = debugConnections ?? [] };
    }

    public static TlsContext ClientContext => _tls.Value.Client;

    public ScriptedLoop Script { get; }

    public ListenSettings Listen { get; }

    /// <summary>The auth server's or backend's end of the n-th connection the session opened.</summary>
    public ScriptedSocket Opened(int index) => Script.Kernel.Connected[index];

    /// <summary>A client connects.</summary>
    public ScriptedSocket Connect()
    {
        var (connection, socket) = Script.Accept();
        Greet(connection);
        return socket;
    }

    public void Greet(Connection connection)
    {
        _server.OnClient(connection, EndpointAddress.TryParseIP("192.0.2.55", 4242)!, Listen);
        Script.Settle();
    }

    /// <summary>Lets text arrive and the loop run.</summary>
    public void Say(ScriptedSocket socket, string text)
    {
        socket.Arrive(text);
        Script.Settle();
    }

    /// <summary>The auth server accepts on the n-th opened connection.</summary>
    public void Accept(int index) =>
        Say(Opened(index), "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.9\r\nAuth-Port: 143\r\n\r\n");

    public string Log() => Encoding.Latin1.GetString(File.ReadAllBytes(_folder.File("log")));

    public void Dispose()
    {
        Script.Dispose();
        _logs.Dispose();
        _folder.Dispose();
    }

    private static (Dictionary<MailProtocol, TlsContext> Servers, TlsContext Client) CreateTls()
    {
        using var folder = new TemporaryFolder();
        TestCertificate certificate = TestCertificate.WriteEcdsa(folder);
        var settings = new TlsServerSettings { Certificates = [certificate.CertificateFile], CertificateKeys = [certificate.KeyFile] };
        return (
            Enum.GetValues<MailProtocol>().ToDictionary(
                protocol => protocol, protocol => TlsContextFactory.CreateServer(settings, MailProtocols.AlpnName(protocol))),
            TlsContextFactory.CreateClient());
    }
}
