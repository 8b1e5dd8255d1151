using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>libssl, one to one. Macros of the C headers that are ctrl calls are called through <c>SSL_CTX_ctrl</c>/<c>SSL_ctrl</c>.</summary>
public static unsafe partial class Libssl
{
    internal const string Library = "libssl.so.3";

    public const ulong SSL_OP_CLEANSE_PLAINTEXT = 0x2;
    public const ulong SSL_OP_NO_SSLv3 = 0x02000000;
    public const ulong SSL_OP_NO_TLSv1 = 0x04000000;
    public const ulong SSL_OP_NO_TLSv1_2 = 0x08000000;
    public const ulong SSL_OP_NO_TLSv1_1 = 0x10000000;
    public const ulong SSL_OP_NO_TLSv1_3 = 0x20000000;
    public const ulong SSL_OP_NO_RENEGOTIATION = 0x40000000;
    public const ulong SSL_OP_NO_COMPRESSION = 0x20000;
    public const ulong SSL_OP_CIPHER_SERVER_PREFERENCE = 0x400000;
    public const ulong SSL_OP_IGNORE_UNEXPECTED_EOF = 0x80;
    public const ulong SSL_OP_NO_TX_CERTIFICATE_COMPRESSION = 0x1_0000_0000;
    public const ulong SSL_OP_NO_RX_CERTIFICATE_COMPRESSION = 0x2_0000_0000;

    public const ulong SSL_OP_NO_TICKET = 0x4000;

    public const int SSL_MODE_ENABLE_PARTIAL_WRITE = 1;
    public const int SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2;
    public const int SSL_MODE_NO_AUTO_CHAIN = 8;
    public const int SSL_MODE_RELEASE_BUFFERS = 16;

    public const int SSL_SESS_CACHE_OFF = 0;
    public const int SSL_SESS_CACHE_SERVER = 2;
    public const int SSL_SESS_CACHE_NO_AUTO_CLEAR = 0x80;
    public const int SSL_SESS_CACHE_NO_INTERNAL_STORE = 0x200;
    public const int SSL_SESS_CACHE_NO_INTERNAL = 0x300;

    public const int SSL_CTRL_MODE = 33;
    public const int SSL_CTRL_SET_SESS_CACHE_SIZE = 42;
    public const int SSL_CTRL_SET_SESS_CACHE_MODE = 44;
    public const int SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
    public const int SSL_CTRL_CHAIN = 88;
    public const int SSL_CTRL_SET_GROUPS_LIST = 92;
    public const int SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
    public const int SSL_CTRL_SET_MAX_PROTO_VERSION = 124;

    public const int TLS1_3_VERSION = 0x304;

    public const int SSL_ERROR_WANT_READ = 2;
    public const int SSL_ERROR_WANT_WRITE = 3;
    public const int SSL_ERROR_ZERO_RETURN = 6;

    public const int SSL_VERIFY_NONE = 0;
    public const int SSL_VERIFY_PEER = 1;

    public const int SSL_SENT_SHUTDOWN = 1;
    public const int SSL_RECEIVED_SHUTDOWN = 2;

    public const int SSL_CONF_FLAG_FILE = 0x2;
    public const int SSL_CONF_FLAG_CLIENT = 0x4;
    public const int SSL_CONF_FLAG_SERVER = 0x8;
    public const int SSL_CONF_FLAG_SHOW_ERRORS = 0x10;
    public const int SSL_CONF_FLAG_CERTIFICATE = 0x20;
    public const int SSL_CONF_TYPE_FILE = 2;
    public const int SSL_CONF_TYPE_DIR = 3;

    public const int SSL_TICKET_SUCCESS = 5;
    public const int SSL_TICKET_SUCCESS_RENEW = 6;
    public const int SSL_TICKET_RETURN_IGNORE_RENEW = 2;
    public const int SSL_TICKET_RETURN_USE = 3;
    public const int SSL_TICKET_RETURN_USE_RENEW = 4;

    public const int SSL_TLSEXT_ERR_OK = 0;
    public const int SSL_TLSEXT_ERR_ALERT_FATAL = 2;
    public const int OPENSSL_NPN_NEGOTIATED = 1;

    [LibraryImport(Library)]
    public static partial int OPENSSL_init_ssl(ulong options, nint settings);

    [LibraryImport(Library)]
    public static partial nint TLS_server_method();

    [LibraryImport(Library)]
    public static partial nint TLS_client_method();

    [LibraryImport(Library)]
    public static partial nint SSL_CTX_new(nint method);

    [LibraryImport(Library)]
    public static partial void SSL_CTX_free(nint context);

    [LibraryImport(Library)]
    public static partial nint SSL_CTX_ctrl(nint context, int command, nint longArgument, void* pointerArgument);

    [LibraryImport(Library)]
    public static partial ulong SSL_CTX_set_options(nint context, ulong options);

    [LibraryImport(Library)]
    public static partial ulong SSL_CTX_clear_options(nint context, ulong options);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SSL_CTX_set_cipher_list(nint context, string list);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_use_certificate(nint context, nint x509);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_use_PrivateKey(nint context, nint key);

    [LibraryImport(Library)]
    public static partial nint SSL_CTX_set_timeout(nint context, nint seconds);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_set_session_id_context(nint context, byte* id, uint length);

    [LibraryImport(Library)]
    public static partial void SSL_CTX_set_alpn_select_cb(
        nint context, delegate* unmanaged[Cdecl]<nint, byte**, byte*, byte*, uint, nint, int> callback, nint argument);

    [LibraryImport(Library)]
    public static partial int SSL_select_next_proto(byte** output, byte* outputLength, byte* server, uint serverLength, byte* client, uint clientLength);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SSL_CTX_load_verify_file(nint context, string file);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_get_security_level(nint context);

    [LibraryImport(Library)]
    public static partial nint SSL_new(nint context);

    [LibraryImport(Library)]
    public static partial void SSL_free(nint ssl);

    [LibraryImport(Library)]
    public static partial nint SSL_ctrl(nint ssl, int command, nint longArgument, void* pointerArgument);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SSL_set1_host(nint ssl, string name);

    [LibraryImport(Library)]
    public static partial void SSL_set_bio(nint ssl, nint readBio, nint writeBio);

    [LibraryImport(Library)]
    public static partial void SSL_set_accept_state(nint ssl);

    [LibraryImport(Library)]
    public static partial void SSL_set_connect_state(nint ssl);

    [LibraryImport(Library)]
    public static partial int SSL_do_handshake(nint ssl);

    [LibraryImport(Library)]
    public static partial int SSL_read(nint ssl, byte* buffer, int length);

    [LibraryImport(Library)]
    public static partial int SSL_write(nint ssl, byte* buffer, int length);

    [LibraryImport(Library)]
    [SuppressGCTransition] // looks at two fields; called after every read
    public static partial int SSL_has_pending(nint ssl);

    [LibraryImport(Library)]
    public static partial int SSL_shutdown(nint ssl);

    [LibraryImport(Library)]
    public static partial void SSL_set_shutdown(nint ssl, int mode);

    [LibraryImport(Library)]
    public static partial int SSL_get_error(nint ssl, int result);

    [LibraryImport(Library)]
    public static partial nint SSL_get_version(nint ssl);

    [LibraryImport(Library)]
    public static partial nint SSL_get_current_cipher(nint ssl);

    [LibraryImport(Library)]
    public static partial nint SSL_CIPHER_get_name(nint cipher);

    [LibraryImport(Library)]
    public static partial int SSL_session_reused(nint ssl);

    [LibraryImport(Library)]
    public static partial nint SSL_get_servername(nint ssl, int type);

    [LibraryImport(Library)]
    public static partial void SSL_get0_alpn_selected(nint ssl, byte** data, uint* length);

    [LibraryImport(Library)]
    public static partial nint SSL_get_verify_result(nint ssl);

    /// <summary>Our own certificate, borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint SSL_get_certificate(nint ssl);

    [LibraryImport(Library)]
    public static partial ulong SSL_CTX_get_options(nint context);

    [LibraryImport(Library)]
    public static partial ulong SSL_get_options(nint ssl);

    [LibraryImport(Library)]
    public static partial ulong SSL_set_options(nint ssl, ulong options);

    [LibraryImport(Library)]
    public static partial ulong SSL_clear_options(nint ssl, ulong options);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_set_ex_data(nint context, int index, nint data);

    [LibraryImport(Library)]
    public static partial nint SSL_CTX_get_ex_data(nint context, int index);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint SSL_get_SSL_CTX(nint ssl);

    [LibraryImport(Library)]
    public static partial int SSL_version(nint ssl);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_set_num_tickets(nint context, nuint count);

    [LibraryImport(Library)]
    public static partial void SSL_CTX_set_verify_depth(nint context, int depth);

    [LibraryImport(Library)]
    public static partial void SSL_CTX_set_verify(
        nint context, int mode, delegate* unmanaged[Cdecl]<int, nint, int> callback);

    [LibraryImport(Library)]
    public static partial int SSL_get_verify_mode(nint ssl);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint SSL_CTX_get_cert_store(nint context);

    /// <summary>Copies the subject's name.</summary>
    [LibraryImport(Library)]
    public static partial int SSL_CTX_add_client_CA(nint context, nint x509);

    /// <summary>The key passes to the context only on success.</summary>
    [LibraryImport(Library)]
    public static partial int SSL_CTX_set0_tmp_dh_pkey(nint context, nint key);

    /// <summary>OpenSSL 3.2 and later: ask <see cref="OpenSsl.HasCertificateCompression"/>.</summary>
    [LibraryImport(Library)]
    public static partial int SSL_CTX_compress_certs(nint context, int algorithm);

    [LibraryImport(Library)]
    public static partial nint SSL_CONF_CTX_new();

    [LibraryImport(Library)]
    public static partial void SSL_CONF_CTX_free(nint conf);

    [LibraryImport(Library)]
    public static partial uint SSL_CONF_CTX_set_flags(nint conf, uint flags);

    [LibraryImport(Library)]
    public static partial void SSL_CONF_CTX_set_ssl_ctx(nint conf, nint context);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SSL_CONF_cmd_value_type(nint conf, string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SSL_CONF_cmd(nint conf, string name, string value);

    [LibraryImport(Library)]
    public static partial int SSL_CONF_CTX_finish(nint conf);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_set_tlsext_ticket_key_evp_cb(
        nint context, delegate* unmanaged[Cdecl]<nint, byte*, byte*, nint, nint, int, int> callback);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_set_session_ticket_cb(
        nint context,
        delegate* unmanaged[Cdecl]<nint, nint, int> generate,
        delegate* unmanaged[Cdecl]<nint, nint, byte*, nuint, int, nint, int> decrypted,
        nint argument);

    [LibraryImport(Library)]
    public static partial void SSL_CTX_sess_set_new_cb(nint context, delegate* unmanaged[Cdecl]<nint, nint, int> callback);

    [LibraryImport(Library)]
    public static partial void SSL_CTX_sess_set_get_cb(nint context, delegate* unmanaged[Cdecl]<nint, byte*, int, int*, nint> callback);

    [LibraryImport(Library)]
    public static partial void SSL_CTX_sess_set_remove_cb(nint context, delegate* unmanaged[Cdecl]<nint, nint, void> callback);

    [LibraryImport(Library)]
    public static partial int SSL_CTX_remove_session(nint context, nint session);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint SSL_get_session(nint ssl);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial byte* SSL_SESSION_get_id(nint session, uint* length);

    [LibraryImport(Library)]
    public static partial void SSL_SESSION_free(nint session);

    [LibraryImport(Library)]
    public static partial nint SSL_SESSION_get_time(nint session);

    [LibraryImport(Library)]
    public static partial nint SSL_SESSION_get_timeout(nint session);

    [LibraryImport(Library)]
    public static partial nint SSL_SESSION_set_timeout(nint session, nint seconds);

    [LibraryImport(Library)]
    public static partial int SSL_SESSION_set1_ticket_appdata(nint session, void* data, nuint length);

    [LibraryImport(Library)]
    public static partial int SSL_SESSION_get0_ticket_appdata(nint session, void** data, nuint* length);

    [LibraryImport(Library)]
    public static partial int i2d_SSL_SESSION(nint session, byte** output);

    [LibraryImport(Library)]
    public static partial nint d2i_SSL_SESSION(nint session, byte** input, nint length);

    /// <summary>Borrowed; null = the peer sent none.</summary>
    [LibraryImport(Library)]
    public static partial nint SSL_get0_peer_certificate(nint ssl);
}
