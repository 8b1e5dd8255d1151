using Postern.Net.Tests.Scripted;
using Postern.Net.Tls;
using Postern.TestKit;

namespace Postern.Net.Tests.Tls;

/// <summary>Two TLS endpoints on one loop, joined by the script: the far one plays a client, the near one is under test.</summary>
internal sealed class TlsPair
{
    private static readonly Lazy<(TlsContext Server, TlsContext Client)> _contexts = new(CreateContexts);

    public TlsPair(ScriptedLoop script, bool autoCarry)
    {
        (Client, ClientSocket) = script.Accept();
        (Server, ServerSocket) = script.Accept();
        ScriptedSocket.Join(ClientSocket, ServerSocket, autoCarry);
    }

    public static TlsContext ServerContext => _contexts.Value.Server;

    public static TlsContext ClientContext => _contexts.Value.Client;

    public Connection Client { get; }

    public ScriptedSocket ClientSocket { get; }

    public Connection Server { get; }

    public ScriptedSocket ServerSocket { get; }

    /// <summary>Shakes hands with everything arriving at once.</summary>
    public static TlsPair Established(ScriptedLoop script)
    {
        var pair = new TlsPair(script, autoCarry: true);
        HandshakeDialogue client = HandshakeDialogue.AsClient(pair.Client, ClientContext);
        HandshakeDialogue server = HandshakeDialogue.AsServer(pair.Server, ServerContext);
        script.Settle();
        if (client.Outcome != HandshakeOutcome.Completed || server.Outcome != HandshakeOutcome.Completed)
        {
            throw new InvalidOperationException($"no handshake: {pair.Client.TlsFailure} {pair.Server.TlsFailure}");
        }

        pair.ClientSocket.Sends.Clear();
        pair.ServerSocket.Sends.Clear();
        return pair;
    }

    private static (TlsContext Server, TlsContext Client) CreateContexts()
    {
        using var folder = new TemporaryFolder();
        TestCertificate certificate = TestCertificate.WriteEcdsa(folder);
        var settings = new TlsServerSettings
        {
            Certificates = [certificate.CertificateFile],
            CertificateKeys = [certificate.KeyFile],
        };
        return (TlsContextFactory.CreateServer(settings, "imap"), TlsContextFactory.CreateClient());
    }
}
