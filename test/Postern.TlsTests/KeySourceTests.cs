using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>Keys that are no files: in a PKCS #11 token through OpenSSL's engine, in an OpenSSL store (TLS reference 3.3).</summary>
public sealed class KeySourceTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string Pin = "271828";
    private const string SoftHsm = "/usr/lib/softhsm/libsofthsm2.so";

    /// <summary>
    /// nginx does not initialise an engine, so that it needs OpenSSL's configuration to do it; postern takes it either way.
    /// The programs inherit these variables; tests run one after the other.
    /// </summary>
    [Theory]
    [InlineData(MailProxy.Nginx, true)]
    [InlineData(MailProxy.Postern, true)]
    [InlineData(MailProxy.Postern, false)]
    public async Task EngineKeys_InAToken_SignInHandshakes(MailProxy proxy, bool openSslConfigured)
    {
        using Variables variables = await MakeTokenAsync(openSslConfigured);
        await using TlsSite site = await TlsSite.StartAsync(
            proxy,
            files,
            $"ssl_certificate server.pem; ssl_certificate_key \"{Uri("server", Pin)}\"; ssl_certificate ec.pem; ssl_certificate_key \"{Uri("ec", Pin)}\";");
        variables.Dispose();

        foreach (string version in (string[])["-tls1_2", "-tls1_3"])
        {
            SClient rsa = await SClient.ConnectAsync(site.Port(), version + " -sigalgs rsa_pss_rsae_sha256");
            SClient ec = await SClient.ConnectAsync(site.Port(), version + " -sigalgs ecdsa_secp256r1_sha256");
            Assert.Contains("subject=CN = server\n", rsa.Output, StringComparison.Ordinal);
            Assert.Contains("z OK completed", rsa.Output, StringComparison.Ordinal);
            Assert.Contains("subject=CN = ec\n", ec.Output, StringComparison.Ordinal);
            Assert.Contains("z OK completed", ec.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task EngineKey_WrongPin_IsRefusedAndNotPrinted()
    {
        const string WrongPin = "314159";
        using Variables variables = await MakeTokenAsync(openSslConfigured: false);
        string configuration = files.Write(
            "pin.conf",
            $"events {{ }} pid x.pid; mail {{ auth_http 127.0.0.1:1; server {{ listen 127.0.0.1:{LoopbackPorts.Next()} ssl; protocol imap; "
                + $"ssl_certificate server.pem; ssl_certificate_key \"{Uri("server", WrongPin)}\"; }} }}");

        (int code, string output) = await RunningProcess.RunAsync(
            ProgramUnderTest.ExecutableOf(MailProxy.Postern), ["-t", "-p", files.Path + "/", "-e", "stderr", "-c", configuration]);

        Assert.Equal(1, code);
        Assert.Contains(
            $"[emerg] cannot load certificate key \"{Uri("server", "...")}\": ENGINE_load_private_key() failed (SSL: ", output, StringComparison.Ordinal);

        // The engine itself writes the whole URI to standard error; what is ours does not have the PIN.
        Assert.DoesNotContain(output.Split('\n'), line => line.Contains("nginx:", StringComparison.Ordinal) && line.Contains(WrongPin, StringComparison.Ordinal));
    }

    /// <summary>In nginx since 1.29; the first passphrase of the file opens the store's key, no other is tried.</summary>
    [Theory]
    [InlineData("inside\\nwrong\\n", true)]
    [InlineData("wrong\\ninside\\n", false)]
    public async Task StoreKey_Encrypted_FirstPassphraseOnly(string passphrases, bool expected)
    {
        (_, string encrypted) = await RunningProcess.RunAsync(
            "openssl", ["pkey", "-in", files.PathOf("server.key"), "-aes256", "-passout", "pass:inside"]);
        files.Write("store.key", encrypted);
        files.Write("store.pass", passphrases.Replace("\\n", "\n", StringComparison.Ordinal));
        string configuration = files.Write(
            "store.conf",
            $"events {{ }} pid x.pid; mail {{ auth_http 127.0.0.1:1; server {{ listen 127.0.0.1:{LoopbackPorts.Next()} ssl; protocol imap; "
                + $"ssl_password_file store.pass; ssl_certificate server.pem; ssl_certificate_key store:{files.PathOf("store.key")}; }} }}");

        (int code, string output) = await RunningProcess.RunAsync(
            ProgramUnderTest.ExecutableOf(MailProxy.Postern), ["-t", "-p", files.Path + "/", "-e", "stderr", "-c", configuration]);

        Assert.Equal(expected ? 0 : 1, code);
        Assert.Equal(!expected, output.Contains($"cannot load certificate key \"store:{files.PathOf("store.key")}\": OSSL_STORE_load() failed", StringComparison.Ordinal));
        Assert.DoesNotContain("inside", output, StringComparison.Ordinal);
    }

    private static string Uri(string name, string pin) => $"engine:pkcs11:pkcs11:token=postern;object={name};type=private;pin-value={pin}";

    /// <summary>A token with the keys <c>server</c> and <c>ec</c>; whoever is started next finds it.</summary>
    private async Task<Variables> MakeTokenAsync(bool openSslConfigured)
    {
        string folder = files.PathOf($"token-{Guid.NewGuid():N}");
        Directory.CreateDirectory(folder);
        string name = Path.GetFileName(folder);
        var variables = new Variables();
        try
        {
            variables.Set("SOFTHSM2_CONF", files.Write(name + ".conf", $"directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n"));
            variables.Set("PKCS11_MODULE_PATH", SoftHsm);
            if (openSslConfigured)
            {
                variables.Set("OPENSSL_CONF", files.Write(
                    name + ".cnf",
                    "openssl_conf = all\n[all]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\ninit = 1\n"));
            }

            await RunAsync("--init-token", "--free", "--label", "postern", "--pin", Pin, "--so-pin", Pin);
            await RunAsync("--import", files.PathOf("server.key"), "--token", "postern", "--label", "server", "--id", "01", "--pin", Pin);
            await RunAsync("--import", files.PathOf("ec.key"), "--token", "postern", "--label", "ec", "--id", "02", "--pin", Pin);
            return variables;
        }
        catch
        {
            variables.Dispose();
            throw;
        }
    }

    private static async Task RunAsync(params string[] arguments)
    {
        (int code, string output) = await RunningProcess.RunAsync("softhsm2-util", arguments);
        Assert.True(code == 0, output);
    }

    /// <summary>Variables of the environment, for as long as this lives.</summary>
    private sealed class Variables : IDisposable
    {
        private readonly List<string> _names = [];

        public void Set(string name, string value)
        {
            Environment.SetEnvironmentVariable(name, value);
            _names.Add(name);
        }

        public void Dispose()
        {
            _names.ForEach(name => Environment.SetEnvironmentVariable(name, null));
            _names.Clear();
        }
    }
}
