using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>What the loaded OpenSSL cannot do, found out by trying.</summary>
internal static unsafe class TlsCapabilities
{
    private const int NoProtocolsAvailable = 191;

    private static readonly Lazy<bool> _hasSslV3 = new(ProbeSslV3);

    /// <summary>A warning for each named version that does not exist in the library (SSLv2 never, SSLv3 mostly).</summary>
    /// <param name="protocols">Those of <c>ssl_protocols</c>.</param>
    /// <param name="anyLeft">Whether a usable version remains.</param>
    public static IReadOnlyList<string> FindUnsupported(TlsProtocols protocols, out bool anyLeft)
    {
        List<string> warnings = [];
        if (protocols.HasFlag(TlsProtocols.SSLv2))
        {
            warnings.Add(Warning("SSLv2"));
        }

        bool sslV3 = protocols.HasFlag(TlsProtocols.SSLv3);
        if (sslV3 && !_hasSslV3.Value)
        {
            warnings.Add(Warning("SSLv3"));
            sslV3 = false;
        }

        anyLeft = sslV3 || (protocols & ~(TlsProtocols.SSLv2 | TlsProtocols.SSLv3)) != 0;
        return warnings;
    }

    /// <summary>
    /// Whether OpenSSL's own cache grows without bound where TLS 1.3 is spoken without tickets (CVE-2024-2511): corrected in
    /// 3.0.14, 3.1.6 and 3.2.2.
    /// </summary>
    /// <param name="version">OpenSSL_version_num(3): 0xMNN00PP0.</param>
    public static bool HasUnboundedCache(nuint version)
    {
        int patch = (int)(version >> 4) & 0xFF;
        return (version >> 20) switch
        {
            0x300 => patch < 14,
            0x301 => patch < 6,
            0x302 => patch < 2,
            _ => false,
        };
    }

    private static string Warning(string version) => $"\"{version}\" in \"ssl_protocols\" is not supported by the OpenSSL library, ignored";

    /// <summary>A server with nothing but SSLv3 refuses to begin a handshake where SSLv3 was not compiled in.</summary>
    private static bool ProbeSslV3()
    {
        OpenSsl.Initialize();
        nint context = Libssl.SSL_CTX_new(Libssl.TLS_server_method());
        Libssl.SSL_CTX_set_options(
            context, Libssl.SSL_OP_NO_TLSv1 | Libssl.SSL_OP_NO_TLSv1_1 | Libssl.SSL_OP_NO_TLSv1_2 | Libssl.SSL_OP_NO_TLSv1_3);
        Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_SET_MIN_PROTO_VERSION, 0, null);
        nint ssl = Libssl.SSL_new(context);
        try
        {
            // SSL_set_bio takes one reference for each of the two.
            Libssl.SSL_set_bio(ssl, Libcrypto.BIO_new(Libcrypto.BIO_s_mem()), Libcrypto.BIO_new(Libcrypto.BIO_s_mem()));
            Libssl.SSL_set_accept_state(ssl);
            Libcrypto.ERR_clear_error();
            _ = Libssl.SSL_do_handshake(ssl);
            return (int)(Libcrypto.ERR_peek_last_error() & 0x7FFFFF) != NoProtocolsAvailable;
        }
        finally
        {
            Libcrypto.ERR_clear_error();
            Libssl.SSL_free(ssl);
            Libssl.SSL_CTX_free(context);
        }
    }
}
