using Postern.Auth;
using Postern.Config;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tls;
using Postern.Sessions.Imap;
using Postern.Sessions.Pop3;
using Postern.Sessions.Proxying;
using Postern.Sessions.Smtp;

namespace Postern.Sessions;

/// <summary>
/// The blocks <c>mail</c> and <c>server</c>, the directives that belong to no protocol, and the making of
/// <see cref="MailServerSettings"/> (mail-proxy reference 1.5 and 2).
/// </summary>
public static class MailDirectives
{
    /// <summary>In the main scope: whether there is a mail block.</summary>
    public static readonly Slot<bool> Seen = new(false);

    /// <summary>In the main scope: the servers, once the mail block is complete and free of errors.</summary>
    public static readonly Slot<IReadOnlyList<MailServerSettings>> Servers = new([]);

    /// <summary>In the mail and server scopes, filled by the table of <c>error_log</c>; null = the main logs.</summary>
    public static readonly Slot<IReadOnlyList<ErrorLogSettings>> ErrorLogs = new([]);

    private static readonly Slot<IReadOnlyList<ConfigScope>> _serverScopes = new([]);
    private static readonly Slot<MailProtocol?> _protocol = new(null);
    private static readonly Slot<string?> _serverName = new("");
    private static readonly Slot<TimeSpan> _timeout = new(TimeSpan.FromSeconds(60));
    private static readonly Slot<int> _maxErrors = new(5);

    /// <summary>The directives of this room and of the rooms below it.</summary>
    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Block("mail", ConfigContexts.Main, ReadMail),
        Directive.Block("server", ConfigContexts.Mail, ReadServer),
        Directive.Custom("protocol", ConfigContexts.Server, 1, 1, ReadProtocol),
        Directive.Text("server_name", ConfigContexts.MailAndServer, _serverName),
        Directive.Milliseconds("timeout", ConfigContexts.MailAndServer, _timeout),
        Directive.Number("max_errors", ConfigContexts.MailAndServer, _maxErrors),
        .. ResolverDirectives.Table,
        .. ListenDirectives.Table,
        .. TlsDirectives.Table,
        .. AuthHttpDirectives.Table,
        .. ImapDirectives.Table,
        .. Pop3Directives.Table,
        .. SmtpDirectives.Table,
        .. ProxyDirectives.Table,
        .. RealIPDirectives.Table,
    ];

    private static void ReadMail(DirectiveCall call)
    {
        if (call.Scope.Sets(Seen))
        {
            call.Error("\"mail\" directive is duplicate");
            call.SkipBlock();
            return;
        }

        call.Scope.Set(Seen, true);
        ConfigScope mail = new(parent: null, call.Position);

        // checks of the whole after another error would only report its consequences
        if (call.ReadBlock(ConfigContexts.Mail, mail) && !call.HasErrors)
        {
            call.Scope.Set(Servers, Merge(mail.GetOwn(_serverScopes), call));
        }
    }

    private static void ReadServer(DirectiveCall call)
    {
        ConfigScope server = new(call.Scope, call.Position);
        call.Scope.Append(_serverScopes, server);
        if (call.ReadBlock(ConfigContexts.Server, server) && !ListenDirectives.IsAttempted(server))
        {
            call.ErrorAt(server.Opened, "no \"listen\" is defined for server");
        }
    }

    private static void ReadProtocol(DirectiveCall call)
    {
        switch (call.Arguments[0])
        {
            case "imap":
                call.Scope.Set(_protocol, MailProtocol.Imap);
                break;
            case "pop3":
                call.Scope.Set(_protocol, MailProtocol.Pop3);
                break;
            case "smtp":
                call.Scope.Set(_protocol, MailProtocol.Smtp);
                break;
            default:
                call.Error($"unknown protocol \"{call.Arguments[0]}\"");
                break;
        }
    }

    /// <summary>
    /// Each check runs over all servers before the next one starts, as nginx's modules do: the first message is the same.
    /// </summary>
    private static List<MailServerSettings> Merge(IReadOnlyList<ConfigScope> scopes, DirectiveCall call)
    {
        MailProtocol?[] protocols = [.. scopes.Select(scope => ChooseProtocol(scope, call))];
        TlsServerSettings?[] tls = [.. scopes.Select((scope, i) => TlsDirectives.Merge(scope, call, MailProtocols.AlpnName(protocols[i])))];
        TlsDirectives.ForgetPassphrases(scopes);
        AuthHttpSettings?[] auth = [.. scopes.Select(scope => AuthHttpDirectives.Merge(scope, call))];
        return call.HasErrors
            ? []
            : [.. scopes.Select((scope, i) => WithProtocol(scope, Make(scope, protocols[i]!.Value, tls[i]!, auth[i]!)))];
    }

    private static MailProtocol? ChooseProtocol(ConfigScope server, DirectiveCall call)
    {
        MailProtocol? protocol = server.GetOwn(_protocol) ?? server.GetOwn(ListenDirectives.Lines)
            .Select(line => ByPort(line.Addresses[0].Address))
            .FirstOrDefault(known => known is not null);
        if (protocol is null)
        {
            call.ErrorAt(server.Opened, "unknown mail protocol for server");
        }

        return protocol;
    }

    /// <summary>The protocol registered for a port; of a port range the first one counts.</summary>
    private static MailProtocol? ByPort(EndpointAddress address) => address.Port switch
    {
        143 or 993 => MailProtocol.Imap,
        110 or 995 => MailProtocol.Pop3,
        25 or 465 or 587 => MailProtocol.Smtp,
        _ => null,
    };

    private static MailServerSettings Make(ConfigScope server, MailProtocol protocol, TlsServerSettings tls, AuthHttpSettings auth) => new()
    {
        Protocol = protocol,
        Opened = server.Opened,
        Listen = [.. server.GetOwn(ListenDirectives.Lines)
            .SelectMany(line => line.Addresses)
            .Select(address => tls.Always ? address with { Ssl = true } : address)],
        Tls = tls,
        AuthHttp = auth,
        ErrorLogs = server.Get(ErrorLogs) is { Count: > 0 } logs ? logs : null,
        ServerName = server.Get(_serverName) is { Length: > 0 } name ? name : HostName(),
        Timeout = server.Get(_timeout),
        MaxErrors = server.Get(_maxErrors),
        ProxyBufferBytes = server.Get(ProxyDirectives.Buffer),
        ProxyTimeout = server.Get(ProxyDirectives.Timeout),
        ProxyPassErrorMessage = server.Get(ProxyDirectives.PassErrorMessage),
        ProxySmtpAuth = server.Get(ProxyDirectives.SmtpAuth),
        ProxyProtocol = server.Get(ProxyDirectives.ProxyProtocol),
        XClient = server.Get(ProxyDirectives.XClient),
        RealIPFrom = server.Get(RealIPDirectives.From),
        Resolver = ResolverDirectives.Merge(server),
        SmtpGreetingDelay = server.Get(SmtpDirectives.GreetingDelay),
    };

    /// <summary>Adds what only the server's own protocol says.</summary>
    private static MailServerSettings WithProtocol(ConfigScope server, MailServerSettings settings) => settings.Protocol switch
    {
        MailProtocol.Imap => settings with
        {
            AuthMethods = (AuthMethods)server.Get(ImapDirectives.Auth),
            Capabilities = server.Get(ImapDirectives.Capabilities),
            ClientBufferBytes = server.Get(ImapDirectives.ClientBuffer),
        },
        MailProtocol.Pop3 => settings with
        {
            AuthMethods = Pop3Directives.MethodsOf(server),
            Capabilities = server.Get(Pop3Directives.Capabilities),
            ClientBufferBytes = Pop3Directives.ClientBufferBytes,
        },
        _ => settings with
        {
            AuthMethods = (AuthMethods)server.Get(SmtpDirectives.Auth),
            Capabilities = server.Get(SmtpDirectives.Capabilities),
            ClientBufferBytes = server.Get(SmtpDirectives.ClientBuffer),
        },
    };

    private static string HostName() => System.Net.Dns.GetHostName().ToLowerInvariant();
}
