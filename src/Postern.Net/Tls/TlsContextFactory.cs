using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>A TLS setting that cannot be used; the message is nginx's, without position.</summary>
public sealed class TlsSettingsException : Exception
{
    public TlsSettingsException()
    {
    }

    public TlsSettingsException(string message)
        : base(message)
    {
    }

    public TlsSettingsException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

/// <summary>
/// Makes the <c>SSL_CTX</c> of one <c>server { }</c>, in the order of tls-directives.md section 2: protocols, ALPN,
/// ciphers, certificates and keys, session settings.
/// </summary>
public static unsafe class TlsContextFactory
{
    /// <summary>Lifetime of sessions in seconds, nginx's default of <c>ssl_session_timeout</c>.</summary>
    private const int SessionTimeoutSeconds = 300;

    /// <summary>ALPN names in wire format, kept for the life of the process because contexts point at them.</summary>
    private static readonly ConcurrentDictionary<string, nint> _alpnNames = new();

    /// <param name="settings">The merged directives; at least one certificate and as many keys.</param>
    /// <param name="alpnName">The only protocol the server speaks: <c>imap</c>, <c>pop3</c> or <c>smtp</c>.</param>
    /// <exception cref="TlsSettingsException">A file, key or value that OpenSSL refuses.</exception>
    public static TlsContext CreateServer(TlsServerSettings settings, string alpnName)
    {
        OpenSsl.Initialize();
        Libcrypto.ERR_clear_error();
        nint context = Libssl.SSL_CTX_new(Libssl.TLS_server_method());
        if (context == 0)
        {
            throw Failure("SSL_CTX_new() failed");
        }

        var owner = new TlsContext(context);
        try
        {
            SetProtocols(context, settings.Protocols);
            SetDefaults(context);
            Libssl.SSL_CTX_set_alpn_select_cb(context, &SelectAlpn, AlpnName(alpnName));
            SetCiphers(context, settings);
            byte[] sessionContext = UseCertificates(context, settings);
            SetSessions(context, sessionContext);
            return owner;
        }
        catch
        {
            owner.Dispose();
            throw;
        }
    }

    /// <summary>A context for connections we open. Not verified unless <paramref name="trustedFile"/> is given.</summary>
    /// <exception cref="TlsSettingsException">The file of anchors cannot be read.</exception>
    public static TlsContext CreateClient(string? trustedFile = null)
    {
        OpenSsl.Initialize();
        Libcrypto.ERR_clear_error();
        nint context = Libssl.SSL_CTX_new(Libssl.TLS_client_method());
        if (context == 0)
        {
            throw Failure("SSL_CTX_new() failed");
        }

        var owner = new TlsContext(context);
        SetProtocols(context, TlsProtocols.TLSv12 | TlsProtocols.TLSv13);
        SetDefaults(context);
        if (trustedFile is not null)
        {
            if (Libssl.SSL_CTX_load_verify_file(context, trustedFile) != 1)
            {
                owner.Dispose();
                throw Failure($"SSL_CTX_load_verify_file(\"{trustedFile}\") failed");
            }

            Libssl.SSL_CTX_set_verify(context, Libssl.SSL_VERIFY_PEER, 0);
        }

        return owner;
    }

    private static void SetProtocols(nint context, TlsProtocols protocols)
    {
        ReadOnlySpan<(TlsProtocols Protocol, ulong Option)> all =
        [
            (TlsProtocols.SSLv3, Libssl.SSL_OP_NO_SSLv3),
            (TlsProtocols.TLSv1, Libssl.SSL_OP_NO_TLSv1),
            (TlsProtocols.TLSv11, Libssl.SSL_OP_NO_TLSv1_1),
            (TlsProtocols.TLSv12, Libssl.SSL_OP_NO_TLSv1_2),
            (TlsProtocols.TLSv13, Libssl.SSL_OP_NO_TLSv1_3),
        ];
        ulong off = 0;
        ulong every = 0;
        foreach ((TlsProtocols protocol, ulong option) in all)
        {
            every |= option;
            off |= protocols.HasFlag(protocol) ? 0 : option;
        }

        // The floor and ceiling are opened fully so that a system-wide OpenSSL configuration cannot narrow the choice;
        // single options, because holes are allowed.
        Libssl.SSL_CTX_clear_options(context, every);
        Libssl.SSL_CTX_set_options(context, off);
        Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_SET_MIN_PROTO_VERSION, 0, null);
        Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_SET_MAX_PROTO_VERSION, Libssl.TLS1_3_VERSION, null);
    }

    private static void SetDefaults(nint context)
    {
        // Passwords pass through: decrypted bytes are cleansed inside OpenSSL once handed over.
        Libssl.SSL_CTX_set_options(
            context,
            Libssl.SSL_OP_NO_COMPRESSION | Libssl.SSL_OP_NO_RENEGOTIATION | Libssl.SSL_OP_IGNORE_UNEXPECTED_EOF
                | Libssl.SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | Libssl.SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
        Libssl.SSL_CTX_ctrl(
            context,
            Libssl.SSL_CTRL_MODE,
            Libssl.SSL_MODE_RELEASE_BUFFERS | Libssl.SSL_MODE_NO_AUTO_CHAIN | Libssl.SSL_MODE_ENABLE_PARTIAL_WRITE
                | Libssl.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
            null);
    }

    private static void SetCiphers(nint context, TlsServerSettings settings)
    {
        if (Libssl.SSL_CTX_set_cipher_list(context, settings.Ciphers) != 1)
        {
            throw Failure($"SSL_CTX_set_cipher_list(\"{settings.Ciphers}\") failed");
        }

        if (settings.PreferServerCiphers)
        {
            Libssl.SSL_CTX_set_options(context, Libssl.SSL_OP_CIPHER_SERVER_PREFERENCE);
        }
    }

    /// <returns>The session id context: SHA-1 of "MAIL" and the SHA-1 of each certificate, as nginx computes it.</returns>
    private static byte[] UseCertificates(nint context, TlsServerSettings settings)
    {
        using var seed = new MemoryStream();
        seed.Write("MAIL"u8);
        for (int i = 0; i < settings.Certificates.Count; i++)
        {
            string certificate = settings.Certificates[i];
            using var chain = CertificateChain.Load(certificate);
            chain.UseIn(context);
            seed.Write(chain.Sha1OfLeaf());
            UseKey(context, chain, settings.CertificateKeys[i]);
        }

        byte[] text = seed.ToArray();
        byte[] digest = new byte[20];
        fixed (byte* input = text, output = digest)
        {
            uint length;
            if (Libcrypto.EVP_Digest(input, (nuint)text.Length, output, &length, Libcrypto.EVP_sha1(), 0) != 1)
            {
                throw Failure("EVP_Digest() failed");
            }
        }

        return digest;
    }

    private static void UseKey(nint context, CertificateChain chain, string source)
    {
        nint key = PrivateKeys.Load(source);
        try
        {
            // SSL_CTX_use_PrivateKey files a key of another type silently, and every handshake fails later.
            if (Libcrypto.X509_check_private_key(chain.Leaf, key) != 1 || Libssl.SSL_CTX_use_PrivateKey(context, key) != 1)
            {
                throw Failure($"SSL_CTX_use_PrivateKey(\"{PemSource.Shown(source)}\") failed");
            }
        }
        finally
        {
            Libcrypto.EVP_PKEY_free(key);
        }
    }

    private static void SetSessions(nint context, byte[] sessionContext)
    {
        Libssl.SSL_CTX_set_timeout(context, SessionTimeoutSeconds);
        fixed (byte* id = sessionContext)
        {
            if (Libssl.SSL_CTX_set_session_id_context(context, id, (uint)sessionContext.Length) != 1)
            {
                throw Failure("SSL_CTX_set_session_id_context() failed");
            }
        }

        // ssl_session_cache none: nothing is stored, and TLS 1.2 clients are not told so.
        Libssl.SSL_CTX_ctrl(
            context,
            Libssl.SSL_CTRL_SET_SESS_CACHE_MODE,
            Libssl.SSL_SESS_CACHE_SERVER | Libssl.SSL_SESS_CACHE_NO_AUTO_CLEAR | Libssl.SSL_SESS_CACHE_NO_INTERNAL_STORE,
            null);
        Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_SET_SESS_CACHE_SIZE, 1, null);
    }

    private static nint AlpnName(string name) => _alpnNames.GetOrAdd(name, static key =>
    {
        byte[] bytes = [(byte)key.Length, .. Encoding.ASCII.GetBytes(key)];
        nint native = (nint)NativeMemory.Alloc((nuint)bytes.Length);
        bytes.CopyTo(new Span<byte>((void*)native, bytes.Length));
        return native;
    });

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int SelectAlpn(nint ssl, byte** output, byte* outputLength, byte* input, uint inputLength, nint name)
    {
        byte* server = (byte*)name;
        int result = Libssl.SSL_select_next_proto(output, outputLength, server, 1u + *server, input, inputLength);
        return result == Libssl.OPENSSL_NPN_NEGOTIATED ? Libssl.SSL_TLSEXT_ERR_OK : Libssl.SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    internal static TlsSettingsException Failure(string message) => new(message + OpenSslErrors.Drain());
}
