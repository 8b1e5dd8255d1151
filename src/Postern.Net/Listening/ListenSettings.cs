namespace Postern.Net.Listening;

/// <summary>One address of one <c>listen</c> directive (a port range or a host name yields several).</summary>
public sealed record ListenSettings
{
    public required EndpointAddress Address { get; init; }

    /// <summary>The canonical text that logs show as <c>server:</c>: <c>127.0.0.1:143</c>, <c>0.0.0.0:143</c>, <c>unix:/path</c>.</summary>
    public string Text => Address.ToString();

    /// <summary>TLS from the first byte.</summary>
    public bool Ssl { get; init; }

    /// <summary>A PROXY header comes first.</summary>
    public bool ProxyProtocol { get; init; }

    /// <summary>A parameter was given that forces a socket of its own beside a wildcard on the same port (mail-proxy 2.2, footnote 1).</summary>
    public bool OwnSocket { get; init; }

    /// <summary>Length of the kernel's accept queue.</summary>
    public int Backlog { get; init; } = 511;

    /// <summary>SO_RCVBUF in bytes; 0 = the system's.</summary>
    public int ReceiveBufferBytes { get; init; }

    /// <summary>SO_SNDBUF in bytes; 0 = the system's.</summary>
    public int SendBufferBytes { get; init; }

    /// <summary>IPV6_V6ONLY; without effect on other families.</summary>
    public bool Ipv6Only { get; init; } = true;

    /// <summary><c>multipath</c>: a socket of MPTCP (RFC 8684), which serves plain TCP clients, too.</summary>
    public bool Multipath { get; init; }

    /// <summary><c>so_keepalive</c>: null = the system's default, true/false = SO_KEEPALIVE on or off.</summary>
    public bool? KeepAlive { get; init; }

    /// <summary>TCP_KEEPIDLE in seconds; 0 = the system's.</summary>
    public int KeepAliveIdleSeconds { get; init; }

    /// <summary>TCP_KEEPINTVL in seconds; 0 = the system's.</summary>
    public int KeepAliveIntervalSeconds { get; init; }

    /// <summary>TCP_KEEPCNT; 0 = the system's.</summary>
    public int KeepAliveCount { get; init; }
}
