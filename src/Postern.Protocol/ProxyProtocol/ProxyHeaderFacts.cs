namespace Postern.Protocol.ProxyProtocol;

/// <summary>What the header sent to an upstream tells about the client's connection.</summary>
public sealed record ProxyHeaderFacts
{
    /// <summary>The client's address, 4 or 16 bytes in network order, realip applied; empty for unix clients.</summary>
    public ReadOnlyMemory<byte> ClientAddress { get; init; }

    public int ClientPort { get; init; }

    /// <summary>The address it connected to at this proxy, 4 or 16 bytes; empty for unix listeners.</summary>
    public ReadOnlyMemory<byte> LocalAddress { get; init; }

    public int LocalPort { get; init; }

    /// <summary>Facts about the client's TLS; null = none. Version 2 only.</summary>
    public ProxyTlsFacts? Tls { get; init; }
}

/// <summary>Contents of the TLS related TLVs (PROXY protocol specification section 2.2). Empty = not sent.</summary>
public sealed record ProxyTlsFacts
{
    /// <summary>SNI.</summary>
    public ReadOnlyMemory<byte> ServerName { get; init; }

    /// <summary>Selected ALPN protocol.</summary>
    public ReadOnlyMemory<byte> Alpn { get; init; }

    /// <summary><c>TLSv1.3</c>.</summary>
    public string Version { get; init; } = "";

    public string Cipher { get; init; } = "";

    /// <summary>Signature algorithm of the server certificate, <c>RSA-SHA256</c>.</summary>
    public string SignatureAlgorithm { get; init; } = "";

    /// <summary>Key algorithm of the server certificate, <c>RSA2048</c>.</summary>
    public string KeyAlgorithm { get; init; } = "";

    /// <summary>The client presented a certificate in this session, possibly in an earlier connection.</summary>
    public bool CertificateInSession { get; init; }

    /// <summary>The client presented a certificate in this connection (not on resumption).</summary>
    public bool CertificateInConnection { get; init; }

    /// <summary>0 = the certificate is good, 1 = no certificate, otherwise the verification error's number.</summary>
    public uint Verify { get; init; } = 1;

    /// <summary>Common name of the client certificate, UTF-8.</summary>
    public ReadOnlyMemory<byte> CommonName { get; init; }
}
