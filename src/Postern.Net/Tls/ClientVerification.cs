using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>Makes a server context ask clients for certificates: anchors, revocation lists, depth (TLS reference 3.12 to 3.14).</summary>
internal static unsafe class ClientVerification
{
    /// <summary>No chain is longer; OpenSSL adds to the depth, so it must not be the largest number.</summary>
    private const int MaxDepth = 100;

    /// <param name="context">The SSL_CTX.</param>
    /// <param name="settings">The server's.</param>
    /// <param name="identity">Takes what distinguishes this policy from others: it becomes part of the session id context.</param>
    /// <exception cref="TlsSettingsException">No anchors, or a file that cannot be used.</exception>
    public static void Apply(nint context, TlsServerSettings settings, Stream identity)
    {
        if (settings.VerifyClient == ClientCertificatePolicy.Off)
        {
            return;
        }

        if (settings.VerifyClient != ClientCertificatePolicy.OptionalNoCa && settings.ClientAuthorities is null && settings.TrustedAuthorities is null)
        {
            throw new TlsSettingsException("no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client");
        }

        // Never "fail if there is no certificate": the handshake has to succeed, so that the client can be told why it is refused.
        Libssl.SSL_CTX_set_verify(context, Libssl.SSL_VERIFY_PEER, &GoOn);
        Libssl.SSL_CTX_set_verify_depth(context, Math.Min(settings.VerifyDepth, MaxDepth));
        using var policy = new MemoryStream();
        nint store = Libssl.SSL_CTX_get_cert_store(context);
        if (settings.ClientAuthorities is { } announced)
        {
            AddAuthorities(store, announced, policy, names => Announce(context, names, identity));
        }

        if (settings.TrustedAuthorities is { } trusted)
        {
            AddAuthorities(store, trusted, policy, _ => { });
        }

        if (settings.RevocationLists is { } lists)
        {
            AddRevocationLists(store, lists, policy);
        }

        // Beyond what nginx takes in: a session made under another policy must not be resumed under this one.
        Span<byte> numbers = stackalloc byte[8];
        BinaryPrimitives.WriteInt32BigEndian(numbers, (int)settings.VerifyClient);
        BinaryPrimitives.WriteInt32BigEndian(numbers[4..], settings.VerifyDepth);
        policy.Write(numbers);
        identity.Write(policy.ToArray());
    }

    private static void AddAuthorities(nint store, string path, Stream policy, Action<List<nint>> use)
    {
        List<nint> certificates = [];
        try
        {
            ReadAuthorities(path, certificates);
            foreach (nint certificate in certificates)
            {
                // Fills the certificate's cache of extensions now, before several loops meet it (openssl-binding.md 19).
                _ = Libcrypto.X509_check_purpose(certificate, -1, 0);
                if (Libcrypto.X509_STORE_add_cert(store, certificate) != 1)
                {
                    throw TlsContextFactory.Failure($"X509_STORE_add_cert(\"{path}\") failed");
                }

                policy.Write(TlsDigest.OfCertificate(certificate));
            }

            use(certificates);
        }
        finally
        {
            certificates.ForEach(Libcrypto.X509_free);
        }
    }

    private static void ReadAuthorities(string path, List<nint> certificates)
    {
        using PemSource pem = PemSource.OpenFile(path, "certificate");
        nint certificate;
        while ((certificate = Libcrypto.PEM_read_bio_X509_AUX(pem.Bio, 0, 0, 0)) != 0)
        {
            certificates.Add(certificate);
        }

        if (certificates.Count == 0 || !PemSource.TakeEnd())
        {
            throw TlsContextFactory.Failure($"cannot load certificate \"{path}\": PEM_read_bio_X509_AUX() failed");
        }
    }

    /// <summary>Puts the names of these certificates, each once, on the list sent to clients.</summary>
    private static void Announce(nint context, List<nint> certificates, Stream identity)
    {
        List<nint> names = [];
        foreach (nint certificate in certificates)
        {
            nint name = Libcrypto.X509_get_subject_name(certificate);
            if (names.Exists(known => Libcrypto.X509_NAME_cmp(known, name) == 0))
            {
                continue;
            }

            names.Add(name);
            if (Libssl.SSL_CTX_add_client_CA(context, certificate) != 1)
            {
                throw TlsContextFactory.Failure("SSL_CTX_add_client_CA() failed");
            }

            identity.Write(TlsDigest.OfName(name));
        }
    }

    private static void AddRevocationLists(nint store, string path, Stream policy)
    {
        using PemSource pem = PemSource.OpenFile(path, "CRL");
        int count = 0;
        nint list;
        while ((list = Libcrypto.PEM_read_bio_X509_CRL(pem.Bio, 0, 0, 0)) != 0)
        {
            count++;
            int added = Libcrypto.X509_STORE_add_crl(store, list);
            policy.Write(TlsDigest.OfRevocationList(list));
            Libcrypto.X509_CRL_free(list);
            if (added != 1)
            {
                throw TlsContextFactory.Failure($"X509_STORE_add_crl(\"{path}\") failed");
            }
        }

        if (count == 0 || !PemSource.TakeEnd())
        {
            throw TlsContextFactory.Failure($"cannot load CRL \"{path}\": PEM_read_bio_X509_CRL() failed");
        }

        // Every certificate of the chain, the root included, is looked up.
        _ = Libcrypto.X509_STORE_set_flags(store, Libcrypto.X509_V_FLAG_CRL_CHECK | Libcrypto.X509_V_FLAG_CRL_CHECK_ALL);
    }

    /// <summary>The walk along the chain is not stopped: its last error is judged after the handshake.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GoOn(int ok, nint store) => 1;
}
