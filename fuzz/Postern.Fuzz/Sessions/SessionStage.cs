using Postern.Logging;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tls;
using Postern.Sessions;
using Postern.TestKit;

namespace Postern.Fuzz.Sessions;

/// <summary>The loop, the servers and the log that inputs are played on, one after the other: what one leaves behind, the next would find.</summary>
internal sealed class SessionStage : IDisposable
{
    /// <summary>More than <c>timeout</c>, <c>auth_http_timeout</c> and the lingering together.</summary>
    private const long LongMilliseconds = 200_000;

    /// <summary>Servers are kept so long; each has settings of its own.</summary>
    private const int MostServers = 512;

    private readonly TemporaryFolder _folder = new();
    private readonly ErrorLogSet _logs = new(TimeProvider.System, new LogFiles(), "test");
    private readonly ErrorLog _log;
    private readonly FileStream _logFile;
    private readonly Dictionary<MailProtocol, TlsContext> _tls = [];
    private readonly Dictionary<SessionVariant, MailServer> _servers = [];
    private readonly List<Exception> _faults = [];

    public SessionStage()
    {
        var settings = new ErrorLogSettings { Kind = ErrorLogTargetKind.File, Path = _folder.File("log"), Level = LogLevel.Debug };
        _log = _logs.TryOpen([settings], out ErrorLog? log, out string? error) ? log : throw new InvalidOperationException(error);
        _logFile = new FileStream(_folder.File("log"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        TestCertificate certificate = TestCertificate.WriteEcdsa(_folder);
        var tls = new TlsServerSettings { Certificates = [certificate.CertificateFile], CertificateKeys = [certificate.KeyFile] };
        foreach (MailProtocol protocol in Enum.GetValues<MailProtocol>())
        {
            _tls.Add(protocol, TlsContextFactory.CreateServer(tls, MailProtocols.AlpnName(protocol)));
        }

        ClientTls = TlsContextFactory.CreateClient();
        Loop = CreateLoop();
    }

    public ScriptedLoop Loop { get; private set; }

    public TlsContext ClientTls { get; }

    /// <summary>The attempt the server under way has judged last; null = none since <see cref="Play"/>.</summary>
    public LoginNotice? Notice { get; private set; }

    public SessionScript Play(ReadOnlySpan<byte> input)
    {
        if (_servers.Count == MostServers)
        {
            Renew();
        }

        SessionVariant variant = new(input.Length > 0 ? input[0] : (byte)0, input.Length > 1 ? input[1] : (byte)0);
        Loop.Kernel.Connected.Clear();
        Loop.Kernel.ConnectedTo.Clear();
        Loop.Kernel.ConnectError = 0;
        Loop.Kernel.ConnectsAtOnce = (variant.Second & 0x80) == 0;
        Notice = null;
        var script = new SessionScript(this, variant);
        script.Play(input[Math.Min(2, input.Length)..]);
        return script;
    }

    /// <summary>A client comes in.</summary>
    public void Greet(SessionVariant variant, Net.Connection connection)
    {
        if (!_servers.TryGetValue(variant, out MailServer? server))
        {
            server = new MailServer(variant.Settings, _tls[variant.Protocol], _log) { LoginObserver = notice => Notice = notice };
            _servers.Add(variant, server);
        }

        server.OnClient(connection, Net.EndpointAddress.TryParseIP("192.0.2.55", 4242)!, variant.Listen);
        Loop.Settle();
    }

    /// <summary>Everybody goes; no socket, no place and no timer may be left then.</summary>
    public void CheckNothingLeft(SessionScript script)
    {
        script.EndAll();
        Loop.Pass(LongMilliseconds);
        if (script.MayWaitLong && Loop.Loop.Connections > 0)
        {
            // The auth server has asked for a pause of any length. The end of the process cuts it short.
            Loop.Loop.ShutDownRemaining();
            Loop.Pass(LongMilliseconds);
            CheckEmpty();
            Renew();
        }
        else
        {
            CheckEmpty();
        }

        byte[] log = TakeLog();
        Oracle.Holds(_faults.Count == 0, $"an exception reached the loop: {_faults.FirstOrDefault()}");
        SessionOracles.CheckLog(log);
    }

    public byte[] TakeLog()
    {
        byte[] log = new byte[_logFile.Length];
        _logFile.Position = 0;
        _logFile.ReadExactly(log);
        _logFile.SetLength(0);
        return log;
    }

    public void Dispose()
    {
        Loop.Dispose();
        _logFile.Dispose();
        _logs.Dispose();
        _folder.Dispose();
    }

    private void CheckEmpty()
    {
        Oracle.Holds(Loop.Kernel.OpenSockets == 0, $"{Loop.Kernel.OpenSockets} sockets are left open");
        Oracle.Holds(Loop.Loop.Connections == 0, $"{Loop.Loop.Connections} places are left taken");
        Oracle.Holds(Loop.Loop.Timers.Count == 0, $"{Loop.Loop.Timers.Count} timers are left");
    }

    private void Renew()
    {
        _servers.Clear();
        Loop.Dispose();
        Loop = CreateLoop();
    }

    private ScriptedLoop CreateLoop()
    {
        var loop = new ScriptedLoop(maxConnections: 64);
        loop.Loop.FaultObserver = _faults.Add;
        return loop;
    }
}
