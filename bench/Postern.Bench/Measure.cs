namespace Postern.Bench;

/// <summary>One line of the table.</summary>
/// <param name="Name">Short, for <c>--only</c>.</param>
/// <param name="Title">What is measured.</param>
/// <param name="Unit">Of the figures shown.</param>
/// <param name="Goal">Most the ratio to nginx may be; null = shown only.</param>
/// <param name="Stretch">What is aimed for after that.</param>
/// <param name="Run">Measures one proxy once.</param>
internal sealed record Measure(string Name, string Title, string Unit, double? Goal, double? Stretch, Func<Bench, Contestant, double> Run)
{
    /// <summary>Whether it needs fresh processes: the ones under load are stopped first, so that no library is shared with them.</summary>
    public bool NeedsFreshProcesses { get; init; }

    public static IReadOnlyList<Measure> All { get; } =
    [
        new("login-tls13", "login, TLS 1.3 full, ECDSA P-256", "us CPU", 0.82, 0.74, (b, c) => b.Login(c, c.TlsEcdsa(b.Tls13))),
        new("login-tls13-resumed", "login, TLS 1.3 resumed", "us CPU", 0.83, 0.75, (b, c) => b.Login(c, c.TlsEcdsa(b.Tls13Resumed))),
        new("login-tls12-resumed", "login, TLS 1.2 resumed by ticket", "us CPU", 0.70, 0.58, (b, c) => b.Login(c, c.TlsEcdsa(b.Tls12Resumed))),
        new("login-rsa", "login, TLS 1.3 full, RSA-2048", "us CPU", 0.88, 0.83, (b, c) => b.Login(c, c.TlsRsa(b.Tls13))),
        new("login-plain", "login, plain", "us CPU", 0.65, 0.52, (b, c) => b.Login(c, c.Plain)),
        new("bulk-down", "bulk, backend to client, TLS", "ms CPU/GB", 0.52, 0.43, (b, c) => b.BulkDown(c)),
        new("bulk-up", "bulk, client to backend, TLS", "ms CPU/GB", 0.65, 0.52, (b, c) => b.BulkUp(c)),
        new("round-trips", "round trips, 32 connections, TLS", "us CPU", 0.92, 0.80, (b, c) => b.RoundTrips(c)),
        new("memory-tls", "memory per idle joined session, TLS", "KB PSS", 0.66, 0.60, (b, c) => b.MemoryPerSession(c, tls: true)) { NeedsFreshProcesses = true },
        new("memory-plain", "memory per idle joined session, plain", "KB PSS", 0.20, 0.15, (b, c) => b.MemoryPerSession(c, tls: false)) { NeedsFreshProcesses = true },
        new("latency-1", "latency of a TLS login, one client, p50", "ms", 0.10, 0.05, (b, c) => b.Latency(c, 1, 50)),
        new("latency-64-p50", "latency, 64 clients, p50", "ms", null, null, (b, c) => b.Latency(c, 64, 50)),
        new("latency-64-p99", "latency, 64 clients, p99", "ms", null, null, (b, c) => b.Latency(c, 64, 99)),
        new("latency-256-p50", "latency, 256 clients, p50", "ms", null, null, (b, c) => b.Latency(c, 256, 50)),
        new("latency-256-p99", "latency, 256 clients, p99", "ms", 1.0, null, (b, c) => b.Latency(c, 256, 99)),
        new("startup", "start-up to first greeting", "ms CPU", 0.95, 0.80, (b, c) => b.StartUp(c)) { NeedsFreshProcesses = true },
        new("idle-memory", "memory before the first session", "KB PSS", 1.0, 0.95, (b, c) => b.IdleMemory(c)) { NeedsFreshProcesses = true },
    ];
}
