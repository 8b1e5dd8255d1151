using System.Globalization;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>What sslscan says of each kind of listener with nothing configured but certificates (docs/tls.md).</summary>
public sealed class ScannerTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    [Theory]
    [InlineData("imap", "")]
    [InlineData("pop3", "")]
    [InlineData("smtp", "")]
    [InlineData("imap", "--starttls-imap")]
    [InlineData("pop3", "--starttls-pop3")]
    [InlineData("smtp", "--starttls-smtp")]
    public async Task SslScan_Defaults_NothingOldNothingWeak(string protocol, string upgrade)
    {
        await using TlsSite site = await TlsSite.StartAsync(
            MailProxy.Postern, files, $"protocol {protocol}; max_errors 20; {(upgrade.Length > 0 ? "starttls on;" : "")}");
        string address = "127.0.0.1:" + site.Port().ToString(CultureInfo.InvariantCulture);

        (_, string output) = await RunningProcess.RunAsync(
            "sslscan", upgrade.Length > 0 ? ["--no-colour", upgrade, address] : ["--no-colour", address]);

        foreach (string line in (string[])[
            "SSLv2     disabled", "SSLv3     disabled", "TLSv1.0   disabled", "TLSv1.1   disabled", "TLSv1.2   enabled", "TLSv1.3   enabled",
            "Server supports TLS Fallback SCSV", "Session renegotiation not supported",
            "TLSv1.3 not vulnerable to heartbleed", "TLSv1.2 not vulnerable to heartbleed"])
        {
            Assert.Contains(line, output, StringComparison.Ordinal);
        }

        string[] ciphers = [.. output.Split('\n').Where(line => line.StartsWith("Accepted", StringComparison.Ordinal) || line.StartsWith("Preferred", StringComparison.Ordinal))];
        Assert.Contains(ciphers, cipher => cipher.Contains("TLS_AES_256_GCM_SHA384", StringComparison.Ordinal));
        Assert.Contains(ciphers, cipher => cipher.Contains("ECDHE-RSA-AES256-GCM-SHA384", StringComparison.Ordinal));
        Assert.All(ciphers, cipher => Assert.DoesNotMatch("RC4|3DES|DES-CBC|NULL|ADH|AECDH|EXP|MD5| DHE-", cipher));
        Assert.DoesNotMatch(@"\[(crit|alert|emerg)\]", site.Log);
    }
}
