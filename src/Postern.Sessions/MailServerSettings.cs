using Postern.Auth;
using Postern.Config;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Resolving;
using Postern.Net.Tls;

namespace Postern.Sessions;

/// <summary>Directive <c>protocol</c>.</summary>
public enum MailProtocol
{
    Imap,
    Pop3,
    Smtp,
}

/// <summary>Names of the protocols.</summary>
public static class MailProtocols
{
    /// <summary>The protocol's ALPN id (RFC 7301 registry), which is also the word of <c>Auth-Protocol</c>.</summary>
    /// <param name="protocol">Null (not known, an error already) counts as imap.</param>
    public static string AlpnName(MailProtocol? protocol) => protocol switch
    {
        MailProtocol.Pop3 => "pop3",
        MailProtocol.Smtp => "smtp",
        _ => "imap",
    };
}

/// <summary>Sign-in methods of <c>imap_auth</c>, <c>pop3_auth</c>, <c>smtp_auth</c>.</summary>
[Flags]
public enum AuthMethods
{
    Disabled = 0,
    Plain = 1,
    Login = 2,
    CramMd5 = 4,
    External = 8,
    Apop = 16,

    /// <summary>SMTP only: mail without AUTH.</summary>
    None = 32,
}

/// <summary>Directive <c>proxy_protocol</c>: the PROXY header sent to the backend.</summary>
public enum OutgoingProxyProtocol
{
    Off,
    V1,
    V2,
}

/// <summary>One <c>server { }</c> of the <c>mail { }</c> block, merged with the mail level and the defaults. Immutable.</summary>
public sealed record MailServerSettings
{
    public required MailProtocol Protocol { get; init; }

    /// <summary>The line of the opening brace, for messages about the whole server.</summary>
    public ConfigPosition Opened { get; init; }

    public required IReadOnlyList<ListenSettings> Listen { get; init; }

    public required TlsServerSettings Tls { get; init; }

    public required AuthHttpSettings AuthHttp { get; init; }

    /// <summary>Logs of this server; null = the main ones.</summary>
    public IReadOnlyList<ErrorLogSettings>? ErrorLogs { get; init; }

    /// <summary><c>server_name</c>; the lower-cased host name when not configured.</summary>
    public required string ServerName { get; init; }

    /// <summary><c>timeout</c>: budget before login, and for the login dialogue with the backend.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary><c>max_errors</c>; 0 behaves as 1.</summary>
    public int MaxErrors { get; init; } = 5;

    /// <summary><c>imap_auth</c>, <c>pop3_auth</c> or <c>smtp_auth</c>, whichever fits <see cref="Protocol"/>.</summary>
    public AuthMethods AuthMethods { get; init; }

    /// <summary><c>imap_capabilities</c>, <c>pop3_capabilities</c> or <c>smtp_capabilities</c>: words as written.</summary>
    public IReadOnlyList<string> Capabilities { get; init; } = [];

    /// <summary><c>imap_client_buffer</c> or <c>smtp_client_buffer</c> in bytes; 128 for POP3.</summary>
    public int ClientBufferBytes { get; init; } = 4096;

    /// <summary><c>smtp_greeting_delay</c>.</summary>
    public TimeSpan SmtpGreetingDelay { get; init; }

    /// <summary><c>proxy_buffer</c> in bytes.</summary>
    public int ProxyBufferBytes { get; init; } = 4096;

    /// <summary><c>proxy_timeout</c>.</summary>
    public TimeSpan ProxyTimeout { get; init; } = TimeSpan.FromHours(24);

    public bool ProxyPassErrorMessage { get; init; }

    public bool ProxySmtpAuth { get; init; }

    public OutgoingProxyProtocol ProxyProtocol { get; init; }

    public bool XClient { get; init; } = true;

    /// <summary><c>set_real_ip_from</c>: whose PROXY headers are believed (mail-proxy 6.2).</summary>
    public IReadOnlyList<AddressRange> RealIPFrom { get; init; } = [];

    /// <summary><c>resolver</c>; null = off.</summary>
    public ResolverSettings? Resolver { get; init; }
}
