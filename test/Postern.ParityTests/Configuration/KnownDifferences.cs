namespace Postern.ParityTests.Configuration;

/// <summary>
/// Configurations of which postern says something else than nginx 1.22.1, with postern's first message (<c>DIR/</c> removed; empty = none).
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

        // newer than 1.22.1
        ("events {} mail { proxy_protocol v2; }", ""),
        ("events {} mail { proxy_protocol maybe; }", "[emerg] invalid value \"maybe\" in n.conf:1"),
        ("events {} mail { resolver 127.0.0.1 ipv4=off; }", ""),
        ("events {} mail { resolver 127.0.0.1 ipv4=off ipv6=off; }", "[emerg] \"ipv4\" and \"ipv6\" cannot both be \"off\" in n.conf:1"),
        ("ssl_object_cache_inheritable on; events {}", ""),

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
}
