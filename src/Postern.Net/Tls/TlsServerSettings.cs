namespace Postern.Net.Tls;

/// <summary>Protocol versions of <c>ssl_protocols</c>.</summary>
[Flags]
public enum TlsProtocols
{
    None = 0,
    SSLv2 = 1,
    SSLv3 = 2,
    TLSv1 = 4,
    TLSv11 = 8,
    TLSv12 = 16,
    TLSv13 = 32,
}

/// <summary>Directive <c>starttls</c>.</summary>
public enum StartTls
{
    /// <summary>Not offered.</summary>
    Off,

    /// <summary>Offered; clients may log in without it.</summary>
    On,

    /// <summary>Required before any login.</summary>
    Only,
}

/// <summary>Directive <c>ssl_verify_client</c>.</summary>
public enum ClientCertificatePolicy
{
    /// <summary>No certificate is asked for.</summary>
    Off,

    /// <summary>A certificate that verifies is required.</summary>
    On,

    /// <summary>A certificate may be absent; one that is sent must verify.</summary>
    Optional,

    /// <summary>As <see cref="Optional"/>, but an issuer that is not known is forgiven: somebody else judges it.</summary>
    OptionalNoCa,
}

/// <summary>The half of <c>ssl_session_cache</c> that is not <c>shared:</c>.</summary>
public enum SessionCacheMode
{
    /// <summary>Nothing is stored, and TLS 1.2 clients are told so.</summary>
    Off,

    /// <summary>Nothing is stored, but clients are not told: some misbehave when they are.</summary>
    None,

    /// <summary>OpenSSL's own cache.</summary>
    Builtin,

    /// <summary>Only what <c>shared:</c> says.</summary>
    NotBuiltin,
}

/// <summary>A cache of <c>ssl_session_cache shared:NAME:SIZE</c>; servers that give the same name share it.</summary>
public sealed record SharedCacheZone(string Name, long Bytes);

/// <summary>The merged TLS directives of one <c>server { }</c> (tls-directives.md). Paths are absolute.</summary>
public sealed record TlsServerSettings
{
    public StartTls StartTls { get; init; }

    /// <summary><c>ssl_certificate</c> in order: absolute path, or <c>data:PEM</c>.</summary>
    public IReadOnlyList<string> Certificates { get; init; } = [];

    /// <summary><c>ssl_certificate_key</c> in order, paired with <see cref="Certificates"/> by position.</summary>
    public IReadOnlyList<string> CertificateKeys { get; init; } = [];

    public TlsProtocols Protocols { get; init; } = TlsProtocols.TLSv12 | TlsProtocols.TLSv13;

    /// <summary>Line of the last <c>ssl_protocols</c>, for messages about versions the library cannot do.</summary>
    public Config.ConfigPosition ProtocolsPosition { get; init; }

    public string Ciphers { get; init; } = "HIGH:!aNULL:!MD5";

    public bool PreferServerCiphers { get; init; }

    /// <summary><c>ssl_certificate_compression</c>.</summary>
    public bool CertificateCompression { get; init; }

    /// <summary><c>ssl_ecdh_curve</c>; <c>auto</c> = the library's list.</summary>
    public string Curves { get; init; } = "auto";

    /// <summary><c>ssl_dhparam</c>; null = none.</summary>
    public string? DhParam { get; init; }

    /// <summary><c>ssl_conf_command</c> in order.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> ConfCommands { get; init; } = [];

    /// <summary>Makes a path absolute; applied to the values of those <see cref="ConfCommands"/> that name files.</summary>
    public Func<string, string> ResolvePath { get; init; } = static path => path;

    /// <summary><c>ssl_password_file</c>; null = none.</summary>
    public KeyPassphrases? Passphrases { get; init; }

    /// <summary><c>ssl_verify_client</c>.</summary>
    public ClientCertificatePolicy VerifyClient { get; init; }

    /// <summary><c>ssl_verify_depth</c>: most intermediate certificates between the client's and its anchor.</summary>
    public int VerifyDepth { get; init; } = 1;

    /// <summary><c>ssl_client_certificate</c>: anchors whose names are sent to clients.</summary>
    public string? ClientAuthorities { get; init; }

    /// <summary><c>ssl_trusted_certificate</c>: anchors whose names are not sent.</summary>
    public string? TrustedAuthorities { get; init; }

    /// <summary><c>ssl_crl</c>.</summary>
    public string? RevocationLists { get; init; }

    public SessionCacheMode SessionCache { get; init; } = SessionCacheMode.None;

    /// <summary>Sessions OpenSSL's own cache holds (<c>builtin:N</c>); 0 = no limit.</summary>
    public long BuiltinSessions { get; init; }

    /// <summary>Null = no shared cache.</summary>
    public SharedCacheZone? SharedCache { get; init; }

    /// <summary><c>ssl_session_timeout</c> in seconds; 0 = sessions are never resumed.</summary>
    public long SessionTimeoutSeconds { get; init; } = 300;

    /// <summary><c>ssl_session_tickets</c>.</summary>
    public bool SessionTickets { get; init; } = true;

    /// <summary><c>ssl_session_ticket_key</c> in order: the first one encrypts.</summary>
    public IReadOnlyList<string> TicketKeys { get; init; } = [];

    /// <summary>Directive <c>ssl on</c>: TLS from the first byte on every listen of the server.</summary>
    public bool Always { get; init; }

    /// <summary>Whether the server needs a TLS context at all: a <c>listen … ssl</c>, <c>ssl on</c>, or <c>starttls</c> other than off.</summary>
    public bool Needed { get; init; }

    /// <summary>The context made from these settings when the configuration was read; null if none is needed, or not made yet.</summary>
    public TlsContext? Context { get; init; }
}
