using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>SHA-1 digests as they enter the session id context and the header <c>Auth-SSL-Fingerprint</c>: names, not protection.</summary>
internal static unsafe class TlsDigest
{
    public static byte[] OfCertificate(nint x509)
    {
        byte* digest = stackalloc byte[Libcrypto.EVP_MAX_MD_SIZE];
        uint length;
        return Take(Libcrypto.X509_digest(x509, Libcrypto.EVP_sha1(), digest, &length), "X509_digest()", digest, &length);
    }

    public static byte[] OfName(nint name)
    {
        byte* digest = stackalloc byte[Libcrypto.EVP_MAX_MD_SIZE];
        uint length;
        return Take(Libcrypto.X509_NAME_digest(name, Libcrypto.EVP_sha1(), digest, &length), "X509_NAME_digest()", digest, &length);
    }

    public static byte[] OfRevocationList(nint crl)
    {
        byte* digest = stackalloc byte[Libcrypto.EVP_MAX_MD_SIZE];
        uint length;
        return Take(Libcrypto.X509_CRL_digest(crl, Libcrypto.EVP_sha1(), digest, &length), "X509_CRL_digest()", digest, &length);
    }

    public static byte[] Of(ReadOnlySpan<byte> text)
    {
        byte* digest = stackalloc byte[Libcrypto.EVP_MAX_MD_SIZE];
        uint length;
        fixed (byte* input = text)
        {
            int result = Libcrypto.EVP_Digest(input, (nuint)text.Length, digest, &length, Libcrypto.EVP_sha1(), 0);
            return Take(result, "EVP_Digest()", digest, &length);
        }
    }

    private static byte[] Take(int result, string call, byte* digest, uint* length) => result == 1
        ? new ReadOnlySpan<byte>(digest, (int)*length).ToArray()
        : throw TlsContextFactory.Failure(call + " failed");
}
