namespace Postern.ParityTests.Configuration;

/// <summary>TLS directives, by section of the TLS reference; the files are those of <see cref="TlsFiles"/>.</summary>
internal static class TlsCases
{
    private const string Pair = "ssl_certificate ec.pem; ssl_certificate_key ec.key; ";
    private const string Rsa = "ssl_certificate rsa.pem; ";

    /// <summary>Seen while a line is read: inside <c>mail { }</c>, where no server needs TLS.</summary>
    public static readonly string[] Syntax =
    [
        // 2: contexts, counts, duplicates, letter case
        "ssl_dhparam;",
        "ssl_dhparam a b;",
        "ssl_ecdh_curve;",
        "ssl_conf_command a;",
        "ssl_conf_command a b c;",
        "ssl_conf_command a b; ssl_conf_command a b; foo;",
        "ssl_dhparam a; ssl_dhparam a;",
        "ssl_ecdh_curve a; ssl_ecdh_curve a;",
        "ssl_session_tickets on; ssl_session_tickets on;",
        "ssl_session_tickets ON; ssl_session_timeout 5m; ssl_session_timeout 5m;",
        "ssl_session_tickets yes;",
        "ssl_verify_client on; ssl_verify_client on;",
        "ssl_verify_depth 1; ssl_verify_depth 1;",
        "ssl_client_certificate a; ssl_client_certificate a;",
        "ssl_trusted_certificate a; ssl_trusted_certificate a;",
        "ssl_crl a; ssl_crl a;",
        "ssl_session_ticket_key a; ssl_session_ticket_key a; foo;",
        "ssl_session_ticket_key a b;",

        // 3.1
        "ssl on;\nstarttls on;",
        "starttls on;\nssl on;",
        "starttls off; ssl on;",
        "starttls on; ssl off; foo;",
        "ssl on; starttls off; foo;",
        "ssl maybe;",
        "ssl on; ssl off;",
        "ssl OFF; foo;",
        "ssl;",

        // 3.4
        "ssl_password_file nosuch;",
        "ssl_password_file passwords; ssl_password_file passwords;",
        "ssl_password_file password-4095; foo;",
        "ssl_password_file password-4095-end; foo;",
        "ssl_password_file password-4096; foo;",
        "ssl_password_file password-4096-end; foo;",
        "ssl_password_file password-4095-crlf; foo;",
        "ssl_password_file empty.pem; foo;",
        "ssl_password_file conf.d; foo;",

        // 3.14
        "ssl_verify_client ask;",
        "ssl_verify_client 1;",
        "ssl_verify_client OPTIONAL_no_ca; foo;",
        "ssl_verify_depth -1;",
        "ssl_verify_depth x;",
        "ssl_verify_depth 9223372036854775807; foo;",

        // 3.15
        "ssl_session_cache;",
        "ssl_session_cache a b c;",
        "ssl_session_cache bogus;",
        "ssl_session_cache ON;",
        "ssl_session_cache builtin:;",
        "ssl_session_cache builtin:abc;",
        "ssl_session_cache builtin:-1;",
        "ssl_session_cache builtin:0; foo;",
        "ssl_session_cache builtin:9223372036854775808;",
        "ssl_session_cache shared;",
        "ssl_session_cache shared:;",
        "ssl_session_cache shared:SSL;",
        "ssl_session_cache shared:SSL:;",
        "ssl_session_cache shared::1m;",
        "ssl_session_cache shared:SSL:x;",
        "ssl_session_cache shared:SSL:1g;",
        "ssl_session_cache shared:SSL:1m:2;",
        "ssl_session_cache shared:SSL:31k;",
        "ssl_session_cache shared:SSL:32k; foo;",
        "ssl_session_cache shared:SSL:32767;",
        "ssl_session_cache shared:SSL:1m; ssl_session_cache shared:SSL:2m;",
        "ssl_session_cache shared:SSL:1m; ssl_session_cache shared:SSL:1024k; foo;",
        "ssl_session_cache off shared:S:1m; ssl_session_cache builtin off; ssl_session_cache shared:A:1m shared:B:1m; foo;",
        "ssl_session_cache builtin bogus;",
        "server { listen 14300; protocol imap; ssl_session_cache shared:SSL:1m; }\n"
            + "server { listen 14301; protocol imap; ssl_session_cache shared:SSL:2m; }",

        // 3.16
        "ssl_session_timeout 1h30m; foo;",
        "ssl_session_timeout 1y1M1w1d1h1m1s; foo;",
        "ssl_session_timeout 0; foo;",
        "ssl_session_timeout 1ms;",
        "ssl_session_timeout -1;",
        """ssl_session_timeout "";""",
        "ssl_session_timeout 1x;",
    ];

    /// <summary>Seen when the mail block is complete: in a server with a TLS listener.</summary>
    public static readonly string[] Effects =
    [
        // 3.1: the mode word in messages
        "",
        "ssl_certificate ec.pem;",
        "ssl_certificate ec.pem; ssl_certificate rsa.pem; ssl_certificate_key ec.key;",

        // 3.2, 3.3
        Pair,
        "ssl_certificate nosuch; ssl_certificate_key ec.key;",
        "ssl_certificate empty.pem; ssl_certificate_key ec.key;",
        "ssl_certificate ec.key; ssl_certificate_key ec.key;",
        "ssl_certificate conf.d; ssl_certificate_key ec.key;",
        "ssl_certificate both.pem; ssl_certificate_key both.pem;",
        "ssl_certificate ec.pem; ssl_certificate_key nosuch;",
        "ssl_certificate ec.pem; ssl_certificate_key ec.pem;",
        "ssl_certificate ec.pem; ssl_certificate rsa.pem; ssl_certificate_key ec.key; ssl_certificate_key rsa.key; ssl_certificate_key nosuch;",
        "ssl_certificate ec.pem; ssl_certificate_key engine:foo;",

        "ssl_certificate small.pem; ssl_certificate_key small.key;",
        "ssl_certificate small.pem; ssl_certificate_key small.key; ssl_ciphers DEFAULT:@SECLEVEL=0;",
        "ssl_certificate small-chain.pem; ssl_certificate_key rsa.key;",
        "ssl_certificate broken-chain.pem; ssl_certificate_key rsa.key;",
        "ssl_certificate trusted.pem; ssl_certificate_key rsa.key;",
        "ssl_certificate trusted-chain.pem; ssl_certificate_key rsa.key;",
        "ssl_certificate chain-and-junk.pem; ssl_certificate_key rsa.key;",
        """ssl_certificate ""; ssl_certificate_key rsa.key;""",

        // 3.4
        Rsa + "ssl_certificate_key secret.key; ssl_password_file passwords;",
        Rsa + "ssl_certificate_key secret.key; ssl_password_file wrong-passwords;",
        Rsa + "ssl_certificate_key secret.key; ssl_password_file empty.pem;",
        Rsa + "ssl_certificate_key rsa.key; ssl_password_file wrong-passwords;",
        Rsa + "ssl_certificate_key rsa.key; ssl_password_file password-4095;",

        // 3.7
        Pair + "ssl_ciphers BOGUS;",
        Pair + """ssl_ciphers "";""",
        Pair + "ssl_ciphers TLS_AES_128_GCM_SHA256;",
        Pair + "ssl_ciphers aes128-sha;",
        Pair + "ssl_ciphers BOGUS:AES128-SHA;",
        Pair + "ssl_ciphers eNULL:@SECLEVEL=0;",
        Pair + "ssl_ciphers ALL:!ADH:RC4+RSA:+HIGH:+MEDIUM:+LOW:+SSLv2:+EXP;",
        Pair + "ssl_ciphers ALL:!aNULL:!EXPORT56:RC4+RSA:+HIGH:+MEDIUM:+LOW:+SSLv2:+EXP;",

        // 3.9
        Pair + "ssl_ecdh_curve X25519:X25519;",
        Pair + "ssl_ecdh_curve ?nosuch:X25519;",
        Pair + "ssl_ecdh_curve P-256:x25519:ffdhe2048:secp256k1;",
        Pair + "ssl_ecdh_curve auto;",
        Pair + "ssl_ecdh_curve X25519:prime256v1:secp384r1;",
        Pair + "ssl_ecdh_curve nosuch;",
        Pair + "ssl_ecdh_curve AUTO;",
        Pair + "ssl_ecdh_curve auto:X25519;",
        Pair + """ssl_ecdh_curve "";""",

        // 3.10
        Pair + "ssl_dhparam dh2048.pem;",
        Pair + "ssl_dhparam dh1024.pem;",
        Pair + "ssl_dhparam dh1024.pem; ssl_ciphers DEFAULT:@SECLEVEL=0;",
        Pair + "ssl_dhparam nosuch;",
        Pair + "ssl_dhparam auto;",
        Pair + "ssl_dhparam ec.pem;",
        Pair + "ssl_dhparam ec.key;",
        Pair + "ssl_dhparam empty.pem;",

        // 3.11
        Pair + "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;",
        Pair + "ssl_conf_command ciphersuites TLS_AES_128_GCM_SHA256;",
        Pair + "ssl_conf_command Options -ServerPreference;",
        Pair + "ssl_conf_command nosuch value;",
        Pair + "ssl_conf_command Options nosuch;",
        Pair + "ssl_conf_command -cipher HIGH;",
        Pair + "ssl_conf_command VerifyCAFile nosuch;",
        Pair + "ssl_conf_command Certificate rsa.pem; ssl_conf_command PrivateKey rsa.key;",

        // 3.12, 3.13
        Pair + "ssl_verify_client off; ssl_client_certificate nosuch; ssl_crl nosuch;",
        Pair + "ssl_verify_client on; ssl_client_certificate rsa.pem;",
        Pair + "ssl_verify_client on; ssl_client_certificate rsa.pem; ssl_trusted_certificate ec.pem; ssl_crl crl.pem;",
        Pair + "ssl_verify_client optional_no_ca;",

        // 3.15 to 3.18
        Pair + "ssl_session_cache builtin:100 shared:S:1m; ssl_session_tickets off; ssl_session_timeout 0;",
        Pair + "ssl_session_ticket_key ticket48; ssl_session_ticket_key ticket80;",
        Pair + "ssl_session_ticket_key nosuch;",
        Pair + "ssl_session_ticket_key ticket0;",
        Pair + "ssl_session_ticket_key ticket47;",
        Pair + "ssl_session_ticket_key ticket49;",
        Pair + "ssl_session_ticket_key ticket79;",
        Pair + "ssl_session_ticket_key ticket81;",
        Pair + "ssl_session_ticket_key ticket48; ssl_session_ticket_key ticket81; ssl_session_tickets off;",
        Pair + "ssl_session_ticket_key conf.d;",
    ];

    /// <summary>In <c>mail { }</c>, with servers of their own: what is inherited, and what nobody looks at.</summary>
    public static readonly string[] Servers =
    [
        "ssl_certificate nosuch; ssl_certificate_key nosuch; " + Tls(Pair),
        "ssl_certificate_key nosuch; " + Tls("ssl_certificate ec.pem;"),
        "ssl_certificate ec.pem; ssl_certificate_key ec.key; " + Tls("ssl_certificate rsa.pem; ssl_certificate ec.pem;"),
        "ssl_session_ticket_key ticket47; " + Tls(Pair + "ssl_session_ticket_key ticket48;"),
        "ssl_session_ticket_key ticket47; " + Tls(Pair),
        "ssl_conf_command nosuch x; " + Tls(Pair + "ssl_conf_command Options SessionTicket;"),
        "ssl_conf_command nosuch x; " + Tls(Pair),
        "ssl_ciphers BOGUS; " + Tls(Pair + "ssl_ciphers HIGH;"),
        "ssl_password_file passwords; " + Tls(Rsa + "ssl_certificate_key secret.key;"),
        "ssl_password_file passwords; " + Tls(Rsa + "ssl_certificate_key secret.key; ssl_password_file wrong-passwords;"),
        "ssl_session_cache shared:S:1m; " + Tls(Pair + "ssl_session_cache shared:S:2m;"),
        "ssl_verify_client on; ssl_client_certificate rsa.pem; " + Tls(Pair + "ssl_verify_client off; ssl_client_certificate nosuch;"),
        "server { listen 127.0.0.1:14300; protocol imap; ssl_certificate nosuch; ssl_certificate nosuch; ssl_certificate_key nosuch; ssl_ciphers BOGUS; "
            + "ssl_conf_command a b; ssl_dhparam nosuch; ssl_ecdh_curve x; ssl_session_ticket_key nosuch; ssl_verify_client on; ssl_crl nosuch; }",
        "server { listen 127.0.0.1:14300; protocol imap; ssl_password_file nosuch; }",
        "starttls on; server { listen 127.0.0.1:14300; protocol imap; " + Pair + "ssl_ciphers BOGUS; }",
    ];

    /// <summary>In the same server, where nginx 1.22.1 says something else: it is older, or it does what nobody can want.</summary>
    public static readonly (string Directives, string Expected)[] Differences =
    [
        (Pair + "ssl_certificate_compression on;", "[warn] \"ssl_certificate_compression\" is not supported on this platform, ignored"),
        (Pair + "ssl_protocols SSLv2;", "[warn] \"SSLv2\" in \"ssl_protocols\" is not supported by the OpenSSL library, ignored in n.conf:1"),
        (Pair + "ssl_protocols TLSv1 TLSv1.2;", "[warn] TLSv1 and TLSv1.1 in \"ssl_protocols\" need \"@SECLEVEL=0\" in \"ssl_ciphers\", handshakes with them will fail in n.conf:1"),
        ("ssl_certificate ec.pem; ssl_certificate_key \"store:pkcs11:object=mx;pin-value=1234\";", "[emerg] cannot load certificate key \"store:pkcs11:object=mx;pin-value=...\": OSSL_STORE_open() failed"),
        ("ssl_certificate rsa.pem; ssl_certificate_key ec.key;", "[emerg] SSL_CTX_use_PrivateKey(\"ec.key\") failed"),
        ("ssl_certificate \"data:nonsense\"; ssl_certificate_key ec.key;", "[emerg] cannot load certificate \"data:...\": PEM_read_bio_X509_AUX() failed"),
    ];

    /// <summary>What nginx says, too, since some version; the one that is named was seen to.</summary>
    public static readonly (string Directives, string Expected, string Since)[] Newer =
    [
        (Pair + "ssl_verify_client on;", "[emerg] no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client", "1.30.6"),
        (Pair + "ssl_verify_client optional; ssl_client_certificate nosuch;", "[emerg] cannot load certificate \"nosuch\": BIO_new_file() failed", "1.30.6"),
        (Pair + "ssl_verify_client on; ssl_client_certificate ec.key;", "[emerg] cannot load certificate \"ec.key\": PEM_read_bio_X509_AUX() failed", "1.30.6"),
        (Pair + "ssl_verify_client on; ssl_trusted_certificate nosuch;", "[emerg] cannot load certificate \"nosuch\": BIO_new_file() failed", "1.30.6"),
        (Pair + "ssl_verify_client on; ssl_client_certificate rsa.pem; ssl_crl nosuch;", "[emerg] cannot load CRL \"nosuch\": BIO_new_file() failed", "1.30.6"),
        (Pair + "ssl_verify_client on; ssl_client_certificate rsa.pem; ssl_crl ec.pem;", "[emerg] cannot load CRL \"ec.pem\": PEM_read_bio_X509_CRL() failed", "1.30.6"),
        ("ssl_certificate ec.pem; ssl_certificate_key store:file:nosuch;", "[emerg] cannot load certificate key \"store:file:nosuch\": OSSL_STORE_open() failed", "1.30.6"),
        ("ssl_certificate ec.pem; ssl_certificate_key store:nosuch:key;", "[emerg] cannot load certificate key \"store:nosuch:key\": OSSL_STORE_open() failed", "1.30.6"),
        ("ssl_certificate ec.pem; ssl_certificate_key store:ec.pem;", "[emerg] cannot load certificate key \"store:ec.pem\": OSSL_STORE_load() failed", "1.30.6"),
        ("ssl_certificate ec.pem; ssl_certificate_key engine:nosuch:bar:x;", "[emerg] cannot load certificate key \"engine:nosuch:bar:x\": ENGINE_by_id() failed", "1.30.6"),
    ];

    private static string Tls(string directives) => $"server {{ listen 127.0.0.1:14300 ssl; protocol imap; {directives} }}";
}
