using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Postern.ParityTests.Configuration;

/// <summary>Certificates, keys and the like that TLS configurations name.</summary>
internal static class TlsFiles
{
    private const string ServerName = "CN=mx.example.test";

    /// <summary>MODP group 14 of RFC 3526 and, too small for today, group 2 of RFC 2409: generator 2.</summary>
    private const string Modp2048 = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6D"
        + "F25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3D"
        + "C2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08"
        + "CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
        + "15728E5A8AACAA68FFFFFFFFFFFFFFFF";

    private const string Modp1024 = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6D"
        + "F25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381"
        + "FFFFFFFFFFFFFFFF";

    /// <param name="write">Name and content of a file.</param>
    public static void Write(Action<string, byte[]> write)
    {
        using var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var rsa = RSA.Create(2048);
        Text("ec.pem", Sign(new CertificateRequest(ServerName, ec, HashAlgorithmName.SHA256)).ExportCertificatePem());
        Text("ec.key", ec.ExportPkcs8PrivateKeyPem());
        var request = new CertificateRequest(ServerName, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = Sign(request);
        Text("rsa.pem", certificate.ExportCertificatePem());
        Text("rsa.key", rsa.ExportPkcs8PrivateKeyPem());
        Text("secret.key", rsa.ExportEncryptedPkcs8PrivateKeyPem("secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
        Text("both.pem", rsa.ExportPkcs8PrivateKeyPem() + "\n" + certificate.ExportCertificatePem());
        Text("crl.pem", RevocationList(certificate));
        using (var small = RSA.Create(1024))
        {
            string certificatePem = Sign(new CertificateRequest(ServerName, small, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)).ExportCertificatePem();
            Text("small.pem", certificatePem);
            Text("small.key", small.ExportPkcs8PrivateKeyPem());
            Text("small-chain.pem", certificate.ExportCertificatePem() + "\n" + certificatePem);
        }

        string trusted = certificate.ExportCertificatePem().Replace("CERTIFICATE-----", "TRUSTED CERTIFICATE-----", StringComparison.Ordinal);
        Text("trusted.pem", trusted);
        Text("trusted-chain.pem", certificate.ExportCertificatePem() + "\n" + trusted);
        Text("broken-chain.pem", certificate.ExportCertificatePem() + "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        Text("chain-and-junk.pem", certificate.ExportCertificatePem() + "\n" + certificate.ExportCertificatePem() + "\njunk\n");
        Text("dh2048.pem", DhParameters(Modp2048));
        Text("dh1024.pem", DhParameters(Modp1024));
        Text("empty.pem", "");
        foreach (int size in (ReadOnlySpan<int>)[0, 47, 48, 49, 79, 80, 81])
        {
            write($"ticket{size}", RandomNumberGenerator.GetBytes(size));
        }

        Text("passwords", "\n\r\nwrong\r\nsecret\nmore");
        Text("wrong-passwords", "wrong\nother\n");
        Text("password-4095", new string('x', 4095) + "\nsecret\n");
        Text("password-4095-end", new string('x', 4095));
        Text("password-4096", new string('x', 4096) + "\n");
        Text("password-4096-end", new string('x', 4096));
        Text("password-4095-crlf", new string('x', 4095) + "\r\n");

        void Text(string name, string content) => write(name, Encoding.ASCII.GetBytes(content));
    }

    private static X509Certificate2 Sign(CertificateRequest request)
    {
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
    }

    private static string RevocationList(X509Certificate2 issuer)
    {
        byte[] list = new CertificateRevocationListBuilder().Build(
            issuer, BigInteger.One, TimeProvider.System.GetUtcNow().AddDays(30), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        return PemEncoding.WriteString("X509 CRL", list);
    }

    /// <summary>SEQUENCE { INTEGER p, INTEGER 2 }.</summary>
    private static string DhParameters(string prime)
    {
        var writer = new System.Formats.Asn1.AsnWriter(System.Formats.Asn1.AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteIntegerUnsigned(Convert.FromHexString(prime));
            writer.WriteInteger(2);
        }

        return PemEncoding.WriteString("DH PARAMETERS", writer.Encode());
    }
}
