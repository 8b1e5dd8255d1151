using System.Text;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>A made-up certificate with its key, for <c>postern demo</c> and tests. Lives in memory only.</summary>
/// <param name="CertificatePem">The certificate.</param>
/// <param name="KeyPem">Its P-256 key, not encrypted.</param>
public sealed unsafe record SelfSignedCertificate(string CertificatePem, string KeyPem)
{
    // native names keep their spelling
    private const int NID_subject_alt_name = 85;
    private const int MBSTRING_UTF8 = 0x1000;
    private const nint Version3 = 2;
    private const nint OneDaySeconds = 24 * 60 * 60;

    /// <summary>Makes a key and a certificate valid from yesterday for a month.</summary>
    /// <param name="commonName">Subject and issuer.</param>
    /// <param name="alternativeNames">As OpenSSL writes them: <c>DNS:localhost,IP:127.0.0.1</c>.</param>
    /// <exception cref="TlsSettingsException">OpenSSL would not.</exception>
    public static SelfSignedCertificate Create(string commonName, string alternativeNames)
    {
        OpenSsl.Initialize();
        nint key = 0;
        nint x509 = 0;
        try
        {
            key = GenerateKey();
            x509 = Libcrypto.X509_new();
            Fill(x509, key, commonName);
            AddAlternativeNames(x509, alternativeNames);
            Check(Libcrypto.X509_sign(x509, key, Libcrypto.EVP_sha256()) > 0, "X509_sign()");
            return new SelfSignedCertificate(
                ToPem(bio => Libcrypto.PEM_write_bio_X509(bio, x509)),
                ToPem(bio => Libcrypto.PEM_write_bio_PrivateKey(bio, key, 0, 0, 0, 0, 0)));
        }
        finally
        {
            Libcrypto.X509_free(x509);
            Libcrypto.EVP_PKEY_free(key);
        }
    }

    /// <summary>Never the key.</summary>
    public override string ToString() => nameof(SelfSignedCertificate);

    private static nint GenerateKey()
    {
        nint context = Libcrypto.EVP_PKEY_CTX_new_from_name(0, "EC", 0);
        try
        {
            nint key = 0;
            Check(
                Libcrypto.EVP_PKEY_keygen_init(context) == 1
                    && Libcrypto.EVP_PKEY_CTX_set_group_name(context, "P-256") == 1
                    && Libcrypto.EVP_PKEY_generate(context, &key) == 1,
                "EVP_PKEY_generate()");
            return key;
        }
        finally
        {
            Libcrypto.EVP_PKEY_CTX_free(context);
        }
    }

    private static void Fill(nint x509, nint key, string commonName)
    {
        ulong serial = ((ulong)SecureRandom.NextUInt32() << 31) | SecureRandom.NextUInt32();
        nint name = Libcrypto.X509_get_subject_name(x509);
        bool filled = Libcrypto.X509_set_version(x509, Version3) == 1
            && Libcrypto.ASN1_INTEGER_set_uint64(Libcrypto.X509_get_serialNumber(x509), serial) == 1
            && Libcrypto.X509_gmtime_adj(Libcrypto.X509_getm_notBefore(x509), -OneDaySeconds) != 0
            && Libcrypto.X509_gmtime_adj(Libcrypto.X509_getm_notAfter(x509), 30 * OneDaySeconds) != 0
            && Libcrypto.X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, commonName, -1, -1, 0) == 1
            && Libcrypto.X509_set_issuer_name(x509, name) == 1
            && Libcrypto.X509_set_pubkey(x509, key) == 1;
        Check(filled, "X509_new()");
    }

    private static void AddAlternativeNames(nint x509, string names)
    {
        nint extension = Libcrypto.X509V3_EXT_conf_nid(0, 0, NID_subject_alt_name, names);
        Check(extension != 0, "X509V3_EXT_conf_nid()");
        int added = Libcrypto.X509_add_ext(x509, extension, -1);
        Libcrypto.X509_EXTENSION_free(extension);
        Check(added == 1, "X509_add_ext()");
    }

    private static string ToPem(Func<nint, int> write)
    {
        nint bio = Libcrypto.BIO_new(Libcrypto.BIO_s_mem());
        try
        {
            Check(write(bio) == 1, "PEM_write_bio()");
            byte* data;
            nint length = Libcrypto.BIO_ctrl(bio, Libcrypto.BIO_CTRL_INFO, 0, &data);
            return Encoding.ASCII.GetString(data, (int)length);
        }
        finally
        {
            _ = Libcrypto.BIO_free(bio);
        }
    }

    private static void Check(bool succeeded, string call)
    {
        if (!succeeded)
        {
            throw TlsContextFactory.Failure(call + " failed");
        }
    }
}
