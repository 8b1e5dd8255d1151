using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Postern.TestKit;

namespace Postern.TlsTests;

/// <summary>
/// A folder with certificates for servers and clients: <c>ca.pem</c> signed <c>good</c>, <c>revoked</c>, <c>expired</c>,
/// <c>example</c> and the intermediate authority <c>middle</c>, which signed <c>deep</c> (its file holds the chain); <c>self</c>
/// signed itself. Each name has a <c>.pem</c> and a <c>.key</c>.
/// </summary>
public sealed class TlsFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TlsFolder()
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using RSA caKey = RSA.Create(2048);
        using X509Certificate2 ca = Authority("CN=Test Root CA,O=Example Org,C=SE", caKey).CreateSelfSigned(now.AddDays(-30), now.AddDays(60));
        Write("ca", ca, caKey);
        using RSA middleKey = RSA.Create(2048);
        using X509Certificate2 middleBare = Authority("CN=Middle CA", middleKey).Create(ca, now.AddDays(-20), now.AddDays(50), [2]);
        using X509Certificate2 middle = middleBare.CopyWithPrivateKey(middleKey);
        Write("middle", middle, middleKey);
        Issue("good", "CN=good", ca, now.AddDays(30), [3]);
        Issue("revoked", "CN=revoked", ca, now.AddDays(30), [4]);
        Issue("expired", "CN=expired", ca, now.AddDays(-1), [5]);
        Issue("deep", "CN=deep", middle, now.AddDays(30), [6]);
        File.AppendAllText(_folder.File("deep.pem"), "\n" + middle.ExportCertificatePem());
        Issue("example", ExampleSubject(), ca, now.AddDays(30), Convert.FromHexString("00A1B2C3D4E5F60718"));
        SelfSign("self", 30);
        SelfSign("server", 30);
        SelfSign("other", 30);
        SelfSign("soon", 5);
        SelfSign("over", -1);
        using (var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256))
        {
            var request = new CertificateRequest("CN=ec", ec, HashAlgorithmName.SHA256);
            using X509Certificate2 certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
            _folder.Write("ec.pem", certificate.ExportCertificatePem());
            _folder.Write("ec.key", ec.ExportPkcs8PrivateKeyPem());
        }

        WriteRevocationList("crl.pem", ca, [4]);
        WriteRevocationList("other-crl.pem", ca, [99]);
        WriteRevocationList("old-crl.pem", ca, [99], days: -1);
        File.WriteAllBytes(_folder.File("ticket80"), RandomNumberGenerator.GetBytes(80));
        File.WriteAllBytes(_folder.File("ticket48"), RandomNumberGenerator.GetBytes(48));
    }

    public string Path => _folder.Path;

    public string PathOf(string name) => _folder.File(name);

    public string Write(string name, string text) => _folder.Write(name, text);

    public void Dispose() => _folder.Dispose();

    /// <summary>The client of the reference's worked example.</summary>
    private static X500DistinguishedName ExampleSubject()
    {
        var name = new X500DistinguishedNameBuilder();
        name.AddEmailAddress("asa@example.com");
        name.AddCommonName("Åsa \"Q\" <x>; #1");
        name.AddOrganizationalUnitName("R+D");
        name.AddOrganizationName("Example, Inc.");
        name.AddStateOrProvinceName("Skåne");
        name.AddCountryOrRegion("SE");
        return name.Build();
    }

    private static CertificateRequest Authority(string name, RSA key)
    {
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        return request;
    }

    private void Issue(string name, string subject, X509Certificate2 issuer, DateTimeOffset end, byte[] serial) =>
        Issue(name, new X500DistinguishedName(subject), issuer, end, serial);

    private void Issue(string name, X500DistinguishedName subject, X509Certificate2 issuer, DateTimeOffset end, byte[] serial)
    {
        using RSA key = RSA.Create(2048);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = request.Create(issuer, TimeProvider.System.GetUtcNow().AddDays(-15), end, serial);
        Write(name, certificate, key);
    }

    private void SelfSign(string name, int days)
    {
        using RSA key = RSA.Create(2048);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        DateTimeOffset end = TimeProvider.System.GetUtcNow().AddDays(days);
        using X509Certificate2 certificate = request.CreateSelfSigned(end.AddDays(-100), end);
        Write(name, certificate, key);
    }

    private void Write(string name, X509Certificate2 certificate, RSA key)
    {
        _folder.Write(name + ".pem", certificate.ExportCertificatePem());
        File.SetUnixFileMode(_folder.Write(name + ".key", key.ExportPkcs8PrivateKeyPem()), UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    private void WriteRevocationList(string name, X509Certificate2 issuer, byte[] serial, int days = 20)
    {
        var list = new CertificateRevocationListBuilder();
        list.AddEntry(serial);
        DateTimeOffset end = TimeProvider.System.GetUtcNow().AddDays(days);
        byte[] der = list.Build(issuer, BigInteger.One, end, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1, end.AddDays(-25));
        _folder.Write(name, PemEncoding.WriteString("X509 CRL", der));
    }
}
