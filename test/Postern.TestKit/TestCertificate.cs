using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Postern.TestKit;

/// <summary>A self-signed certificate for <c>localhost</c> and 127.0.0.1, as PEM files.</summary>
public sealed record TestCertificate(string CertificateFile, string KeyFile)
{
    private const string Name = "mx.example.test";

    // Keys are slow to make; one of each kind serves all tests of a process.
    private static readonly Lazy<(string Certificate, string Key)> _ecdsa = new(MakeEcdsa);
    private static readonly Lazy<(string Certificate, string Key)> _rsa = new(MakeRsa);

    /// <summary>Writes an ECDSA P-256 certificate and its key into the folder.</summary>
    public static TestCertificate WriteEcdsa(TemporaryFolder folder) => Write(folder, "ecdsa", _ecdsa.Value);

    /// <summary>Writes an RSA-2048 certificate and its key into the folder.</summary>
    public static TestCertificate WriteRsa(TemporaryFolder folder) => Write(folder, "rsa", _rsa.Value);

    private static TestCertificate Write(TemporaryFolder folder, string kind, (string Certificate, string Key) pem) =>
        new(folder.Write($"{kind}-cert.pem", pem.Certificate), folder.Write($"{kind}-key.pem", pem.Key));

    private static (string, string) MakeEcdsa()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return (Sign(new CertificateRequest($"CN={Name}", key, HashAlgorithmName.SHA256)), key.ExportPkcs8PrivateKeyPem());
    }

    private static (string, string) MakeRsa()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={Name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        return (Sign(request), key.ExportPkcs8PrivateKeyPem());
    }

    private static string Sign(CertificateRequest request)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddDnsName(Name);
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using X509Certificate2 certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
        return certificate.ExportCertificatePem();
    }
}
