using System.Security.Cryptography;
using Postern.Net.Tls;
using Postern.TestKit;
using Xunit;

namespace Postern.Net.Tests.Tls;

/// <summary>What an operator reads when a certificate, key or cipher list cannot be used.</summary>
public sealed class TlsContextFactoryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TestCertificate _ecdsa;
    private readonly TestCertificate _rsa;

    public TlsContextFactoryTests()
    {
        _ecdsa = TestCertificate.WriteEcdsa(_folder);
        _rsa = TestCertificate.WriteRsa(_folder);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void CreateServer_TwoTypesAndData_Accepted()
    {
        string certificate = "data:" + File.ReadAllText(_ecdsa.CertificateFile);
        string key = "data:" + File.ReadAllText(_ecdsa.KeyFile);
        using TlsContext context = TlsContextFactory.CreateServer(Settings(certificate, key) with
        {
            Certificates = [certificate, _rsa.CertificateFile],
            CertificateKeys = [key, _rsa.KeyFile],
        }, "imap");
        Assert.False(context.IsInvalid);
    }

    [Fact]
    public void CreateServer_CertificateFileMissing_NamesItAndTheErrno()
    {
        string message = Failure(Settings("/nonexistent/cert.pem", _ecdsa.KeyFile));
        Assert.StartsWith("cannot load certificate \"/nonexistent/cert.pem\": BIO_new_file() failed (SSL: ", message, StringComparison.Ordinal);
        Assert.Contains("No such file or directory", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_KeyFileMissing_NamesIt()
    {
        string message = Failure(Settings(_ecdsa.CertificateFile, "/nonexistent/key.pem"));
        Assert.StartsWith("cannot load certificate key \"/nonexistent/key.pem\": BIO_new_file() failed (SSL: ", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not a certificate\n")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    public void CreateServer_NoOrDamagedCertificate_Refused(string text)
    {
        string file = _folder.Write("bad.pem", text);
        string message = Failure(Settings(file, _ecdsa.KeyFile));
        Assert.StartsWith($"cannot load certificate \"{file}\": PEM_read_bio_X509_AUX() failed (SSL: ", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_DamagedChain_Refused()
    {
        string file = _folder.Write(
            "chain.pem", File.ReadAllText(_ecdsa.CertificateFile) + "\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        string message = Failure(Settings(file, _ecdsa.KeyFile));
        Assert.StartsWith($"cannot load certificate \"{file}\": PEM_read_bio_X509() failed (SSL: ", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_KeyOfAnotherCertificate_Refused()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string file = _folder.Write("other.pem", other.ExportPkcs8PrivateKeyPem());
        string message = Failure(Settings(_ecdsa.CertificateFile, file));
        Assert.StartsWith($"SSL_CTX_use_PrivateKey(\"{file}\") failed (SSL: ", message, StringComparison.Ordinal);
        Assert.Contains("key values mismatch", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_KeyOfAnotherType_Refused()
    {
        string message = Failure(Settings(_ecdsa.CertificateFile, _rsa.KeyFile));
        Assert.StartsWith($"SSL_CTX_use_PrivateKey(\"{_rsa.KeyFile}\") failed (SSL: ", message, StringComparison.Ordinal);
        Assert.Contains("key type mismatch", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_EncryptedKey_RefusedWithoutAskingOnTheTerminal()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string pem = key.ExportEncryptedPkcs8PrivateKeyPem("phrase", new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1000));
        string file = _folder.Write("encrypted.pem", pem);
        string message = Failure(Settings(_ecdsa.CertificateFile, file));
        Assert.StartsWith($"cannot load certificate key \"{file}\": PEM_read_bio_PrivateKey() failed (SSL: ", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("data:secretsecret", null)]
    [InlineData(null, "data:secretsecret")]
    public void CreateServer_DataThatIsNoPem_NeverPrinted(string? certificate, string? key)
    {
        string message = Failure(Settings(certificate ?? _ecdsa.CertificateFile, key ?? _ecdsa.KeyFile));
        Assert.Contains("\"data:...\"", message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_MismatchingDataKey_NeverPrinted()
    {
        string key = "data:" + File.ReadAllText(_rsa.KeyFile);
        string message = Failure(Settings(_ecdsa.CertificateFile, key));
        Assert.StartsWith("SSL_CTX_use_PrivateKey(\"data:...\") failed (SSL: ", message, StringComparison.Ordinal);
        Assert.DoesNotContain("PRIVATE KEY", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_NoSuchCipher_Refused()
    {
        string message = Failure(Settings(_ecdsa.CertificateFile, _ecdsa.KeyFile) with { Ciphers = "NO-SUCH-CIPHER" });
        Assert.StartsWith("SSL_CTX_set_cipher_list(\"NO-SUCH-CIPHER\") failed (SSL: ", message, StringComparison.Ordinal);
        Assert.Contains("no cipher match", message, StringComparison.Ordinal);
    }

    [Fact]
    public void CreateServer_AfterAFailure_TheNextSucceeds()
    {
        Failure(Settings(_ecdsa.CertificateFile, _rsa.KeyFile));
        using TlsContext context = TlsContextFactory.CreateServer(Settings(_ecdsa.CertificateFile, _ecdsa.KeyFile), "imap");
        Assert.False(context.IsInvalid);
    }

    [Fact]
    public void CreateClient_AnchorsMissing_Refused()
    {
        TlsSettingsException fault = Assert.Throws<TlsSettingsException>(() => TlsContextFactory.CreateClient("/nonexistent/ca.pem"));
        Assert.StartsWith("SSL_CTX_load_verify_file(\"/nonexistent/ca.pem\") failed (SSL: ", fault.Message, StringComparison.Ordinal);
    }

    private static TlsServerSettings Settings(string certificate, string key) => new() { Certificates = [certificate], CertificateKeys = [key] };

    private static string Failure(TlsServerSettings settings) =>
        Assert.Throws<TlsSettingsException>(() => TlsContextFactory.CreateServer(settings, "imap")).Message;
}
