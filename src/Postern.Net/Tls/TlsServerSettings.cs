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

    /// <summary>Whether the server needs a TLS context at all: a <c>listen … ssl</c>, or <c>starttls</c> other than off.</summary>
    public bool Needed { get; init; }

    /// <summary>The context made from these settings when the configuration was read; null if none is needed, or not made yet.</summary>
    public TlsContext? Context { get; init; }
}
