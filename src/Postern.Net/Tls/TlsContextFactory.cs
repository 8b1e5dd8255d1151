using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Postern.Config;
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

    /// <summary>nginx names the end of the <c>mail</c> block as the place of this fault.</summary>
    public bool IsAtEndOfBlock { get; private init; }

    internal static TlsSettingsException AtEndOfBlock(string message) => new(message) { IsAtEndOfBlock = true };
}

/// <summary>
/// Makes the <c>SSL_CTX</c> of one <c>server { }</c>, in the order of tls-directives.md section 2: protocols, ALPN,
/// ciphers, certificates and keys, certificate compression, client verification, DH parameters, groups, sessions, ticket keys,
/// configuration commands.
/// </summary>
public static unsafe class TlsContextFactory
{
    /// <summary>ALPN names in wire format, kept for the life of the process because contexts point at them.</summary>
    private static readonly ConcurrentDictionary<string, nint> _alpnNames = new();

    /// <param name="settings">The merged directives; at least one certificate and as many keys.</param>
    /// <param name="alpnName">The only protocol the server speaks: <c>imap</c>, <c>pop3</c> or <c>smtp</c>.</param>
    /// <param name="remark">Takes what the administrator should know although the context can be used.</param>
    /// <exception cref="TlsSettingsException">A file, key or value that OpenSSL refuses.</exception>
    public static TlsContext CreateServer(TlsServerSettings settings, string alpnName, Action<ConfigSeverity, string>? remark = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        OpenSsl.Initialize();
        return KeyMemory.Run(() => CreateServerHere(settings, alpnName, remark));
    }

    private static TlsContext CreateServerHere(TlsServerSettings settings, string alpnName, Action<ConfigSeverity, string>? remark)
    {
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
            using var identity = new MemoryStream();
            identity.Write("MAIL"u8);
            UseCertificates(owner, context, settings, identity, remark);
            CompressCertificates(context, settings, remark);
            ClientVerification.Apply(context, settings, identity);
            SetDhParameters(context, settings.DhParam);
            SetCurves(context, settings.Curves);
            SetSessions(context, settings, identity.ToArray());
            WarnOfUnboundedCache(settings, remark);
            RunCommands(context, settings);
            OmitUselessTickets(context, settings);
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

            Libssl.SSL_CTX_set_verify(context, Libssl.SSL_VERIFY_PEER, null);
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
        // OpenSSL 4 would bring its own parameters, and make DHE usable without ssl_dhparam.
        const nuint Version4 = 0x40000000;
        bool dropDhe = settings.DhParam is null && Libcrypto.OpenSSL_version_num() >= Version4;
        if (Libssl.SSL_CTX_set_cipher_list(context, dropDhe ? settings.Ciphers + ":!kDHE" : settings.Ciphers) != 1)
        {
            throw Failure($"SSL_CTX_set_cipher_list(\"{settings.Ciphers}\") failed");
        }

        if (settings.PreferServerCiphers)
        {
            Libssl.SSL_CTX_set_options(context, Libssl.SSL_OP_CIPHER_SERVER_PREFERENCE);
        }
    }

    /// <param name="identity">Takes the SHA-1 of each certificate.</param>
    private static void UseCertificates(
        TlsContext owner, nint context, TlsServerSettings settings, Stream identity, Action<ConfigSeverity, string>? remark)
    {
        for (int i = 0; i < settings.Certificates.Count; i++)
        {
            using var chain = CertificateChain.Load(settings.Certificates[i]);
            chain.UseIn(context);
            identity.Write(TlsDigest.OfCertificate(chain.Leaf));
            UseKey(owner, context, chain, settings.CertificateKeys[i], settings.Passphrases, remark);
            if (remark is not null)
            {
                CertificateNotices.CheckValidity(chain.Shown, chain.Leaf, remark);
                CertificateNotices.CheckKeyFile(settings.CertificateKeys[i], remark);
            }
        }

        if (!KeyMemory.IsExcluded)
        {
            remark?.Invoke(ConfigSeverity.Notice, "private keys may get into core dumps: the allocator gives threads no heap of their own");
        }
    }

    private static void UseKey(
        TlsContext owner, nint context, CertificateChain chain, string source, KeyPassphrases? passphrases, Action<ConfigSeverity, string>? remark)
    {
        nint key = PrivateKeys.Load(source, passphrases, remark);
        try
        {
            // SSL_CTX_use_PrivateKey files a key of another type silently, and every handshake fails later.
            if (Libcrypto.X509_check_private_key(chain.Leaf, key) != 1 || Libssl.SSL_CTX_use_PrivateKey(context, key) != 1)
            {
                throw Failure($"SSL_CTX_use_PrivateKey(\"{PemSource.Shown(source)}\") failed");
            }

            if (PrivateKeys.IsSoftware(source))
            {
                owner.AddKey(key);
            }
        }
        finally
        {
            Libcrypto.EVP_PKEY_free(key);
        }
    }

    /// <summary>Once for each certificate, now; later changes of the certificates would undo it.</summary>
    private static void CompressCertificates(nint context, TlsServerSettings settings, Action<ConfigSeverity, string>? remark)
    {
        if (!settings.CertificateCompression)
        {
            return;
        }

        if (!OpenSsl.HasCertificateCompression)
        {
            remark?.Invoke(ConfigSeverity.Warn, "\"ssl_certificate_compression\" is not supported on this platform, ignored");
            return;
        }

        if (Libssl.SSL_CTX_compress_certs(context, 0) != 1)
        {
            remark?.Invoke(ConfigSeverity.Warn, $"SSL_CTX_compress_certs() failed{OpenSslErrors.Drain()}, ignored");
            return;
        }

        Libssl.SSL_CTX_clear_options(context, Libssl.SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
    }

    private static void SetDhParameters(nint context, string? path)
    {
        if (path is null)
        {
            return;
        }

        using PemSource pem = PemSource.OpenParameters(path);

        // The names of the calls in messages are those nginx prints.
        nint parameters = Libcrypto.PEM_read_bio_Parameters(pem.Bio, 0);
        if (parameters == 0 || Marshal.PtrToStringUTF8(Libcrypto.EVP_PKEY_get0_type_name(parameters)) is not ("DH" or "DHX"))
        {
            Libcrypto.EVP_PKEY_free(parameters);
            throw Failure($"PEM_read_bio_DHparams(\"{path}\") failed");
        }

        if (Libssl.SSL_CTX_set0_tmp_dh_pkey(context, parameters) != 1)
        {
            Libcrypto.EVP_PKEY_free(parameters);
            throw Failure($"SSL_CTX_set_tmp_dh(\"{path}\") failed");
        }
    }

    private static void SetCurves(nint context, string curves)
    {
        if (curves == "auto")
        {
            return;
        }

        Libcrypto.ERR_clear_error();
        byte[] text = [.. Encoding.UTF8.GetBytes(curves), 0];
        fixed (byte* list = text)
        {
            if (Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_SET_GROUPS_LIST, 0, list) != 1)
            {
                throw Failure($"SSL_CTX_set1_curves_list(\"{curves}\") failed");
            }
        }
    }

    private static void SetSessions(nint context, TlsServerSettings settings, ReadOnlySpan<byte> identity)
    {
        // OpenSSL would take 0 as its own default. A server that never resumes has neither cache nor tickets instead.
        bool never = settings.SessionTimeoutSeconds == 0;
        long timeout = Math.Clamp(settings.SessionTimeoutSeconds, 1, int.MaxValue);
        Libssl.SSL_CTX_set_timeout(context, (nint)timeout);
        fixed (byte* id = TlsDigest.Of(identity))
        {
            if (Libssl.SSL_CTX_set_session_id_context(context, id, 20) != 1)
            {
                throw Failure("SSL_CTX_set_session_id_context() failed");
            }
        }

        SessionCacheMode mode = never && settings.SessionCache != SessionCacheMode.Off ? SessionCacheMode.None : settings.SessionCache;
        SharedSessionCache? shared = null;
        if (settings.SharedCache is { } zone && mode is (SessionCacheMode.Builtin or SessionCacheMode.NotBuiltin))
        {
            shared = SharedSessionCache.Open(zone);
        }

        SetCacheMode(context, mode, settings.BuiltinSessions);
        if (!settings.SessionTickets || never)
        {
            Libssl.SSL_CTX_set_options(context, Libssl.SSL_OP_NO_TICKET);
        }

        // Files are read even if there are no tickets.
        TicketKey[] keys = [.. settings.TicketKeys.Select(TicketKey.Load)];
        new TlsServerState
        {
            Cache = shared,
            Keys = keys.Length > 0 ? new ConfiguredTicketKeys(keys) : shared?.TicketKeys,
            TimeoutSeconds = timeout,
        }.AttachTo(context);
    }

    private static void SetCacheMode(nint context, SessionCacheMode mode, long builtinSessions)
    {
        // Without "no auto clear" every 255th handshake walks the cache, used or not, under the context's lock.
        (int flags, long size) = mode switch
        {
            SessionCacheMode.Off => (Libssl.SSL_SESS_CACHE_OFF, 1L),
            SessionCacheMode.Builtin => (Libssl.SSL_SESS_CACHE_SERVER, builtinSessions),
            SessionCacheMode.NotBuiltin =>
                (Libssl.SSL_SESS_CACHE_SERVER | Libssl.SSL_SESS_CACHE_NO_AUTO_CLEAR | Libssl.SSL_SESS_CACHE_NO_INTERNAL, 1L),

            // Nothing is stored, and TLS 1.2 clients are not told so.
            _ => (Libssl.SSL_SESS_CACHE_SERVER | Libssl.SSL_SESS_CACHE_NO_AUTO_CLEAR | Libssl.SSL_SESS_CACHE_NO_INTERNAL_STORE, 1L),
        };
        Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_SET_SESS_CACHE_MODE, flags, null);
        Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_SET_SESS_CACHE_SIZE, (nint)size, null);
    }

    private static void WarnOfUnboundedCache(TlsServerSettings settings, Action<ConfigSeverity, string>? remark)
    {
        if (settings is { SessionCache: SessionCacheMode.Builtin, SessionTickets: false }
            && settings.Protocols.HasFlag(TlsProtocols.TLSv13)
            && TlsCapabilities.HasUnboundedCache(Libcrypto.OpenSSL_version_num()))
        {
            remark?.Invoke(
                ConfigSeverity.Warn,
                $"\"ssl_session_cache builtin\" without \"ssl_session_tickets\" grows without bound in {OpenSsl.VersionText} (CVE-2024-2511), "
                    + "update it or use a shared cache");
        }
    }

    /// <summary><c>ssl_conf_command</c>: on top of everything else, in order.</summary>
    private static void RunCommands(nint context, TlsServerSettings settings)
    {
        if (settings.ConfCommands.Count == 0)
        {
            return;
        }

        nint conf = Libssl.SSL_CONF_CTX_new();
        try
        {
            _ = Libssl.SSL_CONF_CTX_set_flags(
                conf,
                Libssl.SSL_CONF_FLAG_FILE | Libssl.SSL_CONF_FLAG_CLIENT | Libssl.SSL_CONF_FLAG_SERVER
                    | Libssl.SSL_CONF_FLAG_SHOW_ERRORS | Libssl.SSL_CONF_FLAG_CERTIFICATE);
            Libssl.SSL_CONF_CTX_set_ssl_ctx(conf, context);
            foreach ((string name, string value) in settings.ConfCommands)
            {
                Libcrypto.ERR_clear_error();
                bool names = Libssl.SSL_CONF_cmd_value_type(conf, name) is Libssl.SSL_CONF_TYPE_FILE or Libssl.SSL_CONF_TYPE_DIR;
                string used = names ? settings.ResolvePath(value) : value;
                if (Libssl.SSL_CONF_cmd(conf, name, used) <= 0)
                {
                    throw Failure($"SSL_CONF_cmd(\"{name}\", \"{used}\") failed");
                }
            }

            if (Libssl.SSL_CONF_CTX_finish(conf) != 1)
            {
                throw Failure("SSL_CONF_CTX_finish() failed");
            }
        }
        finally
        {
            Libssl.SSL_CONF_CTX_free(conf);
        }
    }

    /// <summary>TLS 1.3 would send tickets even where nothing can be resumed with them.</summary>
    private static void OmitUselessTickets(nint context, TlsServerSettings settings)
    {
        bool resumable = settings.SessionTimeoutSeconds > 0 && settings.SessionCache is (SessionCacheMode.Builtin or SessionCacheMode.NotBuiltin);
        if (!resumable && (Libssl.SSL_CTX_get_options(context) & Libssl.SSL_OP_NO_TICKET) != 0)
        {
            _ = Libssl.SSL_CTX_set_num_tickets(context, 0);
        }
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
