namespace Postern.ParityTests.Configuration;

/// <summary>
/// Configurations of which postern says something else than nginx, with postern's first message (<c>DIR/</c> removed; empty = none).
/// Each group has its row in docs/parity.md.
/// </summary>
internal static class KnownDifferences
{
    private const string Skipped = "[warn] \"http\" block is not supported, skipped in n.conf:1";

    public static readonly (string Configuration, string Expected)[] All =
    [
        // parts postern does not have
        ("http {}", Skipped),
        ("http { server { location / { return 200 \"}\"; } } } events {}", Skipped),
        ("events {} stream { }", "[warn] \"stream\" block is not supported, skipped in n.conf:1"),
        ("load_module foo.so; events {}", ""),
        ("ssl_engine foo; events {}", "[warn] \"ssl_engine\" is not supported, ignored in n.conf:1"),


        // nginx does something nobody can want
        ("worker_processes 0; events {}", "[warn] \"worker_processes\" 0 would serve no connection, 1 is used in n.conf:1"),
        ("events {} mail { proxy_buffer 0; }", "[warn] \"proxy_buffer\" is too small, 128 bytes are used in n.conf:1"),
        ("events {} mail { imap_client_buffer 9007199254740991k; }", "[emerg] \"imap_client_buffer\" directive invalid value in n.conf:1"),
        ("events {} mail { timeout m1; }", "[emerg] \"timeout\" directive invalid value in n.conf:1"),
        ("events {} mail { server { listen 127.0.0.1; foo; } }",
            "[emerg] no port in \"127.0.0.1\" of the \"listen\" directive in n.conf:1"),
        ("events {} mail { server { listen *; foo; } }", "[emerg] no port in \"*\" of the \"listen\" directive in n.conf:1"),
        ("events {} mail { server { listen [::1]; foo; } }", "[emerg] no port in \"[::1]\" of the \"listen\" directive in n.conf:1"),
        ("events {} #" + new string('x', 5000) + "\n", ""),
    ];

    /// <summary>What nginx says, too, since the version; each group has its row in docs/parity.md, marked newer.</summary>
    public static readonly (string Configuration, string Expected, string Since)[] Newer =
    [
        ("events {} mail { proxy_protocol v2; }", "", "1.31.4"),
        ("events {} mail { proxy_protocol maybe; }", "[emerg] invalid value \"maybe\" in n.conf:1", "1.31.4"),
        ("events {} mail { resolver 127.0.0.1 ipv4=off; }", "", "1.23.1"),
        ("events {} mail { resolver 127.0.0.1 ipv4=off ipv6=off; }", "[emerg] \"ipv4\" and \"ipv6\" cannot both be \"off\" in n.conf:1", "1.23.1"),
        ("events {} mail { server { listen 14300 multipath; protocol imap; foo; } }", "[emerg] unknown directive \"foo\" in n.conf:1", "1.29.7"),
        ("events {} mail { auth_http 127.0.0.1:1; server { listen unix:/nowhere/x multipath; protocol imap; } }",
            "[emerg] socket() unix:/nowhere/x failed (93: Protocol not supported)", "1.29.7"),
        ("ssl_object_cache_inheritable on; events {}", "", "1.27.4"),
        ("quic_bpf on; events {}", "", "1.25.0"),
        ("quic_bpf maybe; events {}", "[emerg] invalid value \"maybe\" in \"quic_bpf\" directive, it must be \"on\" or \"off\" in n.conf:1", "1.25.0"),
    ];
}
