using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>libcrypto, one to one: errors, BIOs, PEM, X.509, keys. Names and conventions are OpenSSL's.</summary>
public static unsafe partial class Libcrypto
{
    internal const string Library = "libcrypto.so.3";

    public const int ERR_LIB_PEM = 9;
    public const int PEM_R_NO_START_LINE = 108;
    public const int ERR_TXT_STRING = 2;

    public const int BIO_TYPE_SOURCE_SINK = 0x400;
    public const int BIO_FLAGS_READ = 1;
    public const int BIO_FLAGS_WRITE = 2;
    public const int BIO_FLAGS_SHOULD_RETRY = 8;
    public const int BIO_FLAGS_RWS_AND_RETRY = 15;
    public const int BIO_CTRL_RESET = 1;
    public const int BIO_CTRL_INFO = 3;

    public const int EVP_MAX_MD_SIZE = 64;

    public const int CRYPTO_EX_INDEX_SSL_CTX = 1;
    public const int X509_V_OK = 0;
    public const int X509_V_FLAG_CRL_CHECK = 4;
    public const int X509_V_FLAG_CRL_CHECK_ALL = 8;
    public const int XN_FLAG_RFC2253 = 0x1110317;
    public const int V_ASN1_NEG_INTEGER = 0x102;
    public const int OSSL_PARAM_UTF8_STRING = 4;
    public const int OSSL_STORE_INFO_PKEY = 4;

    [LibraryImport(Library)]
    public static partial nint OpenSSL_version(int type);

    [LibraryImport(Library)]
    [SuppressGCTransition] // touches only this thread's queue
    public static partial void ERR_clear_error();

    [LibraryImport(Library)]
    [SuppressGCTransition] // as above; called before every TLS operation
    public static partial nuint ERR_peek_error();

    [LibraryImport(Library)]
    public static partial nuint ERR_peek_last_error();

    [LibraryImport(Library)]
    public static partial nuint ERR_get_error_all(nint* file, int* line, nint* function, nint* data, int* flags);

    [LibraryImport(Library)]
    public static partial void ERR_error_string_n(nuint error, byte* buffer, nuint length);

    [LibraryImport(Library)]
    public static partial int BIO_get_new_index();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint BIO_meth_new(int type, string name);

    [LibraryImport(Library)]
    public static partial int BIO_meth_set_read(nint method, delegate* unmanaged[Cdecl]<nint, byte*, int, int> read);

    [LibraryImport(Library)]
    public static partial int BIO_meth_set_write(nint method, delegate* unmanaged[Cdecl]<nint, byte*, int, int> write);

    [LibraryImport(Library)]
    public static partial int BIO_meth_set_ctrl(nint method, nint ctrl);

    [LibraryImport(Library)]
    public static partial nint BIO_meth_get_ctrl(nint method);

    [LibraryImport(Library)]
    public static partial nint BIO_s_null();

    [LibraryImport(Library)]
    public static partial nint BIO_s_mem();

    [LibraryImport(Library)]
    public static partial nint BIO_new(nint method);

    [LibraryImport(Library)]
    public static partial void BIO_set_init(nint bio, int init);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial void BIO_set_flags(nint bio, int flags);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial void BIO_clear_flags(nint bio, int flags);

    [LibraryImport(Library)]
    public static partial int BIO_up_ref(nint bio);

    [LibraryImport(Library)]
    public static partial int BIO_free(nint bio);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint BIO_new_file(string path, string mode);

    /// <summary>Does not copy: <paramref name="data"/> must stay until the BIO is freed.</summary>
    [LibraryImport(Library)]
    public static partial nint BIO_new_mem_buf(byte* data, int length);

    [LibraryImport(Library)]
    public static partial nint BIO_ctrl(nint bio, int command, nint longArgument, void* pointerArgument);

    [LibraryImport(Library)]
    public static partial nint PEM_read_bio_X509_AUX(nint bio, nint x, nint callback, nint user);

    [LibraryImport(Library)]
    public static partial nint PEM_read_bio_X509(nint bio, nint x, nint callback, nint user);

    [LibraryImport(Library)]
    public static partial nint PEM_read_bio_PrivateKey(
        nint bio, nint x, delegate* unmanaged[Cdecl]<byte*, int, int, nint, int> callback, nint user);

    [LibraryImport(Library)]
    public static partial int PEM_write_bio_X509(nint bio, nint x509);

    [LibraryImport(Library)]
    public static partial int PEM_write_bio_PrivateKey(nint bio, nint key, nint cipher, nint pass, int length, nint callback, nint user);

    [LibraryImport(Library)]
    public static partial nint X509_new();

    [LibraryImport(Library)]
    public static partial void X509_free(nint x509);

    [LibraryImport(Library)]
    public static partial int X509_check_private_key(nint x509, nint key);

    [LibraryImport(Library)]
    public static partial int X509_digest(nint x509, nint digest, byte* output, uint* length);

    [LibraryImport(Library)]
    public static partial int X509_set_version(nint x509, nint version);

    [LibraryImport(Library)]
    public static partial nint X509_get_serialNumber(nint x509);

    [LibraryImport(Library)]
    public static partial int ASN1_INTEGER_set_uint64(nint number, ulong value);

    [LibraryImport(Library)]
    public static partial nint X509_getm_notBefore(nint x509);

    [LibraryImport(Library)]
    public static partial nint X509_getm_notAfter(nint x509);

    [LibraryImport(Library)]
    public static partial nint X509_gmtime_adj(nint time, nint seconds);

    [LibraryImport(Library)]
    public static partial nint X509_get_subject_name(nint x509);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int X509_NAME_add_entry_by_txt(nint name, string field, int type, string value, int length, int location, int set);

    [LibraryImport(Library)]
    public static partial int X509_set_issuer_name(nint x509, nint name);

    [LibraryImport(Library)]
    public static partial int X509_set_pubkey(nint x509, nint key);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint X509V3_EXT_conf_nid(nint conf, nint context, int nid, string value);

    [LibraryImport(Library)]
    public static partial int X509_add_ext(nint x509, nint extension, int location);

    [LibraryImport(Library)]
    public static partial void X509_EXTENSION_free(nint extension);

    [LibraryImport(Library)]
    public static partial int X509_sign(nint x509, nint key, nint digest);

    [LibraryImport(Library)]
    public static partial nint EVP_sha1();

    [LibraryImport(Library)]
    public static partial nint EVP_sha256();

    [LibraryImport(Library)]
    public static partial int EVP_Digest(byte* data, nuint length, byte* output, uint* outputLength, nint digest, nint engine);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint EVP_PKEY_CTX_new_from_name(nint libctx, string name, nint properties);

    [LibraryImport(Library)]
    public static partial void EVP_PKEY_CTX_free(nint context);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_keygen_init(nint context);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int EVP_PKEY_CTX_set_group_name(nint context, string name);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_generate(nint context, nint* key);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_up_ref(nint key);

    [LibraryImport(Library)]
    public static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Library)]
    public static partial nint EVP_MD_CTX_new();

    [LibraryImport(Library)]
    public static partial void EVP_MD_CTX_free(nint context);

    /// <param name="context">An EVP_MD_CTX.</param>
    /// <param name="keyContext">Null, or takes the EVP_PKEY_CTX.</param>
    /// <param name="digestName">0 = the key's default digest, or none if it has its own.</param>
    /// <param name="libctx">0 = the default library context.</param>
    /// <param name="properties">0 = none.</param>
    /// <param name="key">The EVP_PKEY; borrowed.</param>
    /// <param name="parameters">Null = none.</param>
    [LibraryImport(Library)]
    public static partial int EVP_DigestSignInit_ex(
        nint context, nint* keyContext, nint digestName, nint libctx, nint properties, nint key, OsslParam* parameters);

    /// <summary>Signs in one step; without a buffer it only says how long a signature can be.</summary>
    [LibraryImport(Library)]
    public static partial int EVP_DigestSign(nint context, byte* signature, nuint* signatureLength, byte* text, nuint textLength);

    [LibraryImport(Library)]
    public static partial nint OPENSSL_sk_new_null();

    [LibraryImport(Library)]
    public static partial int OPENSSL_sk_push(nint stack, nint value);

    [LibraryImport(Library)]
    public static partial int OPENSSL_sk_num(nint stack);

    [LibraryImport(Library)]
    public static partial nint OPENSSL_sk_value(nint stack, int index);

    [LibraryImport(Library)]
    public static partial void OPENSSL_sk_free(nint stack);

    [LibraryImport(Library)]
    public static partial int X509_get_signature_nid(nint x509);

    /// <summary>Short name of an object, borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint OBJ_nid2sn(int nid);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint X509_get0_pubkey(nint x509);

    [LibraryImport(Library)]
    public static partial int EVP_PKEY_get_bits(nint key);

    [LibraryImport(Library)]
    public static partial nint EVP_PKEY_get0_type_name(nint key);

    [LibraryImport(Library)]
    public static partial nuint OpenSSL_version_num();

    [LibraryImport(Library)]
    public static partial int CRYPTO_get_ex_new_index(
        int classIndex,
        nint longArgument,
        nint pointerArgument,
        nint newFunction,
        nint duplicateFunction,
        delegate* unmanaged[Cdecl]<nint, nint, nint, int, nint, nint, void> freeFunction);

    /// <returns>An EVP_PKEY that holds parameters only.</returns>
    [LibraryImport(Library)]
    public static partial nint PEM_read_bio_Parameters(nint bio, nint x);

    [LibraryImport(Library)]
    public static partial nint PEM_read_bio_X509_CRL(nint bio, nint x, nint callback, nint user);

    [LibraryImport(Library)]
    public static partial void X509_CRL_free(nint crl);

    [LibraryImport(Library)]
    public static partial int X509_CRL_digest(nint crl, nint digest, byte* output, uint* length);

    [LibraryImport(Library)]
    public static partial int X509_STORE_add_cert(nint store, nint x509);

    [LibraryImport(Library)]
    public static partial int X509_STORE_add_crl(nint store, nint crl);

    [LibraryImport(Library)]
    public static partial int X509_STORE_set_flags(nint store, nuint flags);

    /// <summary>With purpose -1 only fills the certificate's cache of extensions.</summary>
    [LibraryImport(Library)]
    public static partial int X509_check_purpose(nint x509, int purpose, int asAuthority);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint X509_get_issuer_name(nint x509);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint X509_get0_serialNumber(nint x509);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint X509_get0_notBefore(nint x509);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial nint X509_get0_notAfter(nint x509);

    [LibraryImport(Library)]
    public static partial int X509_NAME_digest(nint name, nint digest, byte* output, uint* length);

    [LibraryImport(Library)]
    public static partial int X509_NAME_cmp(nint a, nint b);

    [LibraryImport(Library)]
    public static partial int X509_NAME_print_ex(nint bio, nint name, int indent, nuint flags);

    /// <summary>Static text.</summary>
    [LibraryImport(Library)]
    public static partial nint X509_verify_cert_error_string(nint error);

    /// <summary>Time from <paramref name="from"/> to <paramref name="to"/>; null = now.</summary>
    [LibraryImport(Library)]
    public static partial int ASN1_TIME_diff(int* days, int* seconds, nint from, nint to);

    [LibraryImport(Library)]
    public static partial int ASN1_TIME_print(nint bio, nint time);

    [LibraryImport(Library)]
    public static partial int ASN1_STRING_length(nint text);

    /// <summary>Borrowed.</summary>
    [LibraryImport(Library)]
    public static partial byte* ASN1_STRING_get0_data(nint text);

    [LibraryImport(Library)]
    public static partial int ASN1_STRING_type(nint text);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint EVP_CIPHER_fetch(nint libctx, string name, nint properties);

    [LibraryImport(Library)]
    public static partial int EVP_EncryptInit_ex2(nint context, nint cipher, byte* key, byte* iv, nint parameters);

    [LibraryImport(Library)]
    public static partial int EVP_DecryptInit_ex2(nint context, nint cipher, byte* key, byte* iv, nint parameters);

    [LibraryImport(Library)]
    public static partial int EVP_MAC_init(nint context, byte* key, nuint keyLength, OsslParam* parameters);

    [LibraryImport(Library)]
    public static partial int RAND_bytes(byte* buffer, int length);

    /// <summary>Not in every build of OpenSSL 3, gone in 4: ask <see cref="OpenSsl.HasEngines"/>.</summary>
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint ENGINE_by_id(string id);

    [LibraryImport(Library)]
    public static partial int ENGINE_init(nint engine);

    [LibraryImport(Library)]
    public static partial int ENGINE_finish(nint engine);

    [LibraryImport(Library)]
    public static partial int ENGINE_free(nint engine);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint ENGINE_load_private_key(nint engine, string keyId, nint uiMethod, nint callbackData);

    [LibraryImport(Library)]
    public static partial nint UI_UTIL_wrap_read_pem_callback(
        delegate* unmanaged[Cdecl]<byte*, int, int, nint, int> callback, int writing);

    [LibraryImport(Library)]
    public static partial void UI_destroy_method(nint method);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OSSL_STORE_open(string uri, nint uiMethod, nint uiData, nint postProcess, nint postProcessData);

    [LibraryImport(Library)]
    public static partial int OSSL_STORE_expect(nint store, int type);

    [LibraryImport(Library)]
    public static partial nint OSSL_STORE_load(nint store);

    [LibraryImport(Library)]
    public static partial int OSSL_STORE_eof(nint store);

    [LibraryImport(Library)]
    public static partial int OSSL_STORE_error(nint store);

    [LibraryImport(Library)]
    public static partial int OSSL_STORE_close(nint store);

    [LibraryImport(Library)]
    public static partial int OSSL_STORE_INFO_get_type(nint info);

    [LibraryImport(Library)]
    public static partial nint OSSL_STORE_INFO_get1_PKEY(nint info);

    [LibraryImport(Library)]
    public static partial void OSSL_STORE_INFO_free(nint info);
}

/// <summary>One entry of an <c>OSSL_PARAM</c> array; the last one is all zero.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct OsslParam
{
    public byte* Key;
    public uint DataType;
    public void* Data;
    public nuint DataSize;
    public nuint ReturnSize;
}
