namespace Postern.Net.Resolving;

/// <summary>Directives <c>resolver</c> and <c>resolver_timeout</c>.</summary>
public sealed record ResolverSettings
{
    public required IReadOnlyList<EndpointAddress> Servers { get; init; }

    /// <summary><c>valid=</c>: overrides the TTL; null = TTL.</summary>
    public TimeSpan? Valid { get; init; }

    public bool IPv4 { get; init; } = true;

    public bool IPv6 { get; init; } = true;

    /// <summary>For one lookup, retries included.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);
}
