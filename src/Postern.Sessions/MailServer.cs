using System.Collections.Concurrent;
using System.Text;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Resolving;
using Postern.Net.Tls;
using Postern.Sessions.Imap;
using Postern.Sessions.Pop3;
using Postern.Sessions.Smtp;

namespace Postern.Sessions;

/// <summary>
/// One <c>server { }</c> at run time: its settings, its TLS context, its log. Sessions keep the one they started with.
/// </summary>
public sealed class MailServer : IClientHandler
{
    private readonly ConcurrentDictionary<EventLoop, AuthHttpClient> _auth = new();
    private readonly ErrorLog _everything;
    private static long _connections;
    private long _lastNoPlace = long.MinValue / 2;

    /// <param name="settings">The merged directives.</param>
    /// <param name="tls">The context, if <see cref="TlsServerSettings.Needed"/>.</param>
    /// <param name="log">The log of this server.</param>
    public MailServer(MailServerSettings settings, TlsContext? tls, ErrorLog log)
    {
        Settings = settings;
        Tls = tls;
        Log = log;
        _everything = log.WithEveryLevel();
        ServerName = Encoding.UTF8.GetBytes(settings.ServerName);
        CapabilityWords = [.. settings.Capabilities.Select(Encoding.UTF8.GetBytes)];
        Names = settings is { Protocol: MailProtocol.Smtp, Resolver: { } resolver } ? new ClientNameResolver(resolver) : null;
    }

    public MailServerSettings Settings { get; }

    public TlsContext? Tls { get; }

    public ErrorLog Log { get; }

    /// <summary><c>debug_connection</c>: clients of which everything is logged.</summary>
    public IReadOnlyList<AddressRange> DebugConnections { get; init; } = [];

    /// <summary><c>server_name</c> as bytes.</summary>
    public byte[] ServerName { get; }

    /// <summary>The configured capability words.</summary>
    public IReadOnlyList<byte[]> CapabilityWords { get; }

    /// <summary>Finds clients' host names; null = <c>resolver</c> is off, or nobody wants to know.</summary>
    internal ClientNameResolver? Names { get; }

    /// <summary>Hears of each login, for <c>postern demo</c>; null = nobody listens.</summary>
    public Action<LoginNotice>? LoginObserver { get; init; }

    public void OnClient(Connection client, EndpointAddress peer, ListenSettings listen)
    {
        long number = NextConnectionNumber();
        MailSession session = Settings.Protocol switch
        {
            MailProtocol.Pop3 => new Pop3Session(this, client, peer, listen, number),
            MailProtocol.Smtp => new SmtpSession(this, client, peer, listen, number),
            _ => new ImapSession(this, client, peer, listen, number),
        };
        session.Start();
    }

    public void OnNoPlace(int workerConnections)
    {
        // A flood of clients must not become a flood of lines.
        long now = Environment.TickCount64;
        if (now - Interlocked.Read(ref _lastNoPlace) < 1000)
        {
            return;
        }

        Interlocked.Exchange(ref _lastNoPlace, now);
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        line.Append("*"u8);
        line.Append(NextConnectionNumber());
        line.Append(" "u8);
        line.Append(workerConnections);
        line.Append(" worker_connections are not enough"u8);
        Log.Write(LogLevel.Alert, line.Written);
    }

    /// <summary>Where a client's lines go.</summary>
    internal ErrorLog LogOf(EndpointAddress client) =>
        DebugConnections.Count > 0 && DebugConnections.Any(range => range.Contains(client)) ? _everything : Log;

    /// <summary>The auth server's client on this loop.</summary>
    internal AuthHttpClient AuthOn(EventLoop loop) =>
        _auth.GetOrAdd(loop, static (key, server) => new AuthHttpClient(key, server.Settings.AuthHttp), this);

    private static long NextConnectionNumber() => Interlocked.Increment(ref _connections);
}

/// <summary>One attempt to log in, as <c>postern demo</c> prints it.</summary>
/// <param name="Protocol">The client's protocol.</param>
/// <param name="Client">Client address.</param>
/// <param name="Login">Who; escaped by the reader. Empty for mail without sign-in.</param>
/// <param name="Accepted">Whether the client was joined to a backend.</param>
/// <param name="Tls">Version and cipher, or empty for clear text.</param>
/// <param name="Upstream">The backend, or empty.</param>
/// <param name="Elapsed">From the accepted connection to the reply.</param>
public sealed record LoginNotice(
    MailProtocol Protocol, string Client, byte[] Login, bool Accepted, string Tls, string Upstream, TimeSpan Elapsed);
