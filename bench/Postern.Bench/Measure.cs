namespace Postern.Bench;

/// <summary>One line of the table.</summary>
/// <param name="Name">Short, for <c>--only</c>.</param>
/// <param name="Title">What is measured.</param>
/// <param name="Unit">Of the figures shown.</param>
/// <param name="Goal">Most the ratio to nginx may be; null = shown only.</param>
/// <param name="Stretch">What is aimed for after that.</param>
/// <param name="Service">What the proxy must offer.</param>
/// <param name="Run">Measures one proxy once.</param>
internal sealed record Measure(
    string Name, string Title, string Unit, double? Goal, double? Stretch, ProxyService Service, Func<Bench, Contestant, double> Run)
{
    /// <summary>Whether it needs fresh processes: the ones under load are stopped first, so that no library is shared with them.</summary>
    public bool NeedsFreshProcesses { get; init; }

    /// <summary>Whether clients resume TLS sessions.</summary>
    public bool NeedsResumption { get; init; }

    public static IReadOnlyList<Measure> All { get; } =
    [
        Login("login-tls13", "login, TLS 1.3 full, ECDSA P-256", 0.82, 0.74, ProxyService.ImapTls, bench => bench.Tls13),
        Login("login-tls13-resumed", "login, TLS 1.3 resumed", 0.83, 0.75, ProxyService.ImapTls, bench => bench.Tls13Resumed) with { NeedsResumption = true },
        Login("login-tls12-resumed", "login, TLS 1.2 resumed by ticket", 0.70, 0.58, ProxyService.ImapTls, bench => bench.Tls12Resumed) with { NeedsResumption = true },
        Login("login-tls12-session-id", "login, TLS 1.2 resumed by session id", 0.70, 0.58, ProxyService.ImapTlsSessionIds, bench => bench.Tls12ById) with { NeedsResumption = true },
        Login("login-rsa", "login, TLS 1.3 full, RSA-2048", 0.88, 0.83, ProxyService.ImapTlsRsa, bench => bench.Tls13),
        Login("login-plain", "login, plain", 0.65, 0.52, ProxyService.Imap, _ => null),
        new("bulk-down", "bulk, backend to client, TLS", "ms CPU/GB", 0.52, 0.43, ProxyService.ImapTls, (b, c) => b.BulkDown(c)),
        new("bulk-up", "bulk, client to backend, TLS", "ms CPU/GB", 0.65, 0.52, ProxyService.ImapTls, (b, c) => b.BulkUp(c)),
        new("round-trips", "round trips, 32 connections, TLS", "us CPU", 0.92, 0.80, ProxyService.ImapTls, (b, c) => b.RoundTrips(c)),
        new("memory-tls", "memory per idle joined session, TLS", "KB PSS", 0.66, 0.60, ProxyService.ImapTls, (b, c) => b.MemoryPerSession(c, tls: true)) { NeedsFreshProcesses = true },
        new("memory-plain", "memory per idle joined session, plain", "KB PSS", 0.20, 0.15, ProxyService.Imap, (b, c) => b.MemoryPerSession(c, tls: false)) { NeedsFreshProcesses = true },
        new("latency-1", "latency of a TLS login, one client, p50", "ms", 0.10, 0.05, ProxyService.ImapTls, (b, c) => b.Latency(c, 1, 50)),
        new("latency-64-p50", "latency, 64 clients, p50", "ms", null, null, ProxyService.ImapTls, (b, c) => b.Latency(c, 64, 50)),
        new("latency-64-p99", "latency, 64 clients, p99", "ms", null, null, ProxyService.ImapTls, (b, c) => b.Latency(c, 64, 99)),
        new("latency-256-p50", "latency, 256 clients, p50", "ms", null, null, ProxyService.ImapTls, (b, c) => b.Latency(c, 256, 50)),
        new("latency-256-p99", "latency, 256 clients, p99", "ms", 1.0, null, ProxyService.ImapTls, (b, c) => b.Latency(c, 256, 99)),
        new("rate-tls13", "logins, TLS 1.3 full, 64 clients", "per s, more is better", null, null, ProxyService.ImapTls, (b, c) => b.Rate(c, c.Target(ProxyService.ImapTls, b.Tls13))),
        new("rate-tls13-resumed", "logins, TLS 1.3 resumed, 64 clients", "per s, more is better", null, null, ProxyService.ImapTls, (b, c) => b.Rate(c, c.Target(ProxyService.ImapTls, b.Tls13Resumed))) { NeedsResumption = true },
        new("rate-plain", "logins, plain, 64 clients", "per s, more is better", null, null, ProxyService.Imap, (b, c) => b.Rate(c, c.Plain)),
        new("startup", "start-up to first greeting", "ms CPU", 0.95, 0.80, ProxyService.Imap, (b, c) => b.StartUp(c)) { NeedsFreshProcesses = true },
        new("idle-memory", "memory before the first session", "KB PSS", 1.0, 0.95, ProxyService.Imap, (b, c) => b.IdleMemory(c)) { NeedsFreshProcesses = true },
        Login("pop3-login-tls13", "POP3 login, TLS 1.3 full", null, null, ProxyService.Pop3Tls, bench => bench.Tls13),
        Login("pop3-login-plain", "POP3 login, plain", null, null, ProxyService.Pop3, _ => null),
        Login("smtp-login-tls13", "SMTP login, TLS 1.3 full", null, null, ProxyService.SmtpTls, bench => bench.Tls13),
        Login("smtp-login-plain", "SMTP login, plain", null, null, ProxyService.Smtp, _ => null),
        new("smtp-upload-tls", "SMTP DATA upload, TLS", "ms CPU/GB", null, null, ProxyService.SmtpTls, (b, c) => b.Upload(c, tls: true)),
        new("smtp-upload-plain", "SMTP DATA upload, plain", "ms CPU/GB", null, null, ProxyService.Smtp, (b, c) => b.Upload(c, tls: false)),
    ];

    /// <summary>What is measured once more while both sides log at info.</summary>
    public static IReadOnlyList<Measure> AtInfo { get; } =
        [.. All.Where(measure => measure.Name.Contains("login-", StringComparison.Ordinal)).Select(measure => measure with { Goal = null, Stretch = null })];

    private static Measure Login(
        string name, string title, double? goal, double? stretch, ProxyService service, Func<Bench, TlsClientContext?> tls) =>
        new(name, title, "us CPU", goal, stretch, service, (b, c) => b.Login(c, c.Target(service, tls(b))));
}
