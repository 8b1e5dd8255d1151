using Postern.Net;

namespace Postern.Auth;

/// <summary>The merged <c>auth_http*</c> directives of one <c>server { }</c>.</summary>
public sealed record AuthHttpSettings
{
    /// <summary>First address the host name had at start.</summary>
    public required EndpointAddress Address { get; init; }

    /// <summary>Value of the <c>Host</c> header: host without port, brackets kept; <c>localhost</c> for unix sockets.</summary>
    public required string Host { get; init; }

    /// <summary>Request target as written, <c>/</c> if none.</summary>
    public required string Uri { get; init; }

    /// <summary>Limit for the whole exchange including connect (<c>auth_http_timeout</c>).</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary><c>auth_http_header</c> lines in configuration order.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary><c>auth_http_pass_client_cert</c>.</summary>
    public bool PassClientCertificate { get; init; }
}
