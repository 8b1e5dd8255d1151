using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Postern.Bench;

/// <summary>Self-signed certificates of the two kinds that are measured.</summary>
internal static class BenchCertificates
{
    /// <summary>Writes <c>ecdsa.pem</c>, <c>ecdsa.key</c>, <c>rsa.pem</c> and <c>rsa.key</c>.</summary>
    public static void Write(string folder)
    {
        using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Write(folder + "/ecdsa", new CertificateRequest("CN=bench.example.org", ecdsa, HashAlgorithmName.SHA256), ecdsa);
        using var rsa = RSA.Create(2048);
        Write(
            folder + "/rsa",
            new CertificateRequest("CN=bench.example.org", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
            rsa);
    }

    private static void Write(string path, CertificateRequest request, AsymmetricAlgorithm key)
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using X509Certificate2 certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
        File.WriteAllText(path + ".pem", certificate.ExportCertificatePem() + "\n");
        File.WriteAllText(path + ".key", key.ExportPkcs8PrivateKeyPem() + "\n");
    }
}
