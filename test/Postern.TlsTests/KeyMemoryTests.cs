using System.Security.Cryptography;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>No part of a private key is where a core dump would hold it: the process's memory is searched for all of them.</summary>
public sealed class KeyMemoryTests(TlsFolder files) : IClassFixture<TlsFolder>
{
    private const string Certificates =
        "ssl_certificate server.pem; ssl_certificate_key both.pem; ssl_certificate ec.pem; ssl_certificate_key ec.key; "
        + "ssl_certificate ed.pem; ssl_certificate_key ed.key;";

    [Fact]
    public async Task PrivateKeys_AfterHandshakesOfAllKinds_AreInExcludedPagesOnly()
    {
        await MakeFilesAsync();

        // The certificate's file holds the key too, so that reading it the first time makes copies of the key as well.
        await using TlsSite site = await TlsSite.StartAsync(
            MailProxy.Postern, files, Certificates.Replace("ssl_certificate server.pem", "ssl_certificate both.pem", StringComparison.Ordinal));
        foreach (string client in (string[])[
            "-tls1_2 -cipher AES128-SHA", "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",
            "-tls1_3 -sigalgs rsa_pss_rsae_sha256", "-tls1_3 -sigalgs ecdsa_secp256r1_sha256", "-tls1_3 -sigalgs ed25519"])
        {
            SClient shaken = await SClient.ConnectAsync(site.Port(), client);
            Assert.Contains("z OK completed", shaken.Output, StringComparison.Ordinal);
        }

        Dictionary<string, byte[]> secrets = [];
        AddRsa(secrets, "server");
        using (var ec = ECDsa.Create())
        {
            ec.ImportFromPem(await File.ReadAllTextAsync(files.PathOf("ec.key"), TestContext.Current.CancellationToken));
            AddNumber(secrets, "ec d", ec.ExportParameters(true).D!);
        }

        // PKCS #8 of an Ed25519 key ends with the 32 bytes of the key itself (RFC 8410 section 7).
        string pem = await File.ReadAllTextAsync(files.PathOf("ed.key"), TestContext.Current.CancellationToken);
        secrets.Add("ed", Convert.FromBase64String(string.Concat(pem.Split('\n').Where(line => line.Length > 0 && line[0] != '-')))[^32..]);
        foreach (string name in (string[])["both.pem", "ec.key", "ed.key"])
        {
            string text = await File.ReadAllTextAsync(files.PathOf(name), TestContext.Current.CancellationToken);
            string key = text[text.IndexOf("PRIVATE KEY-----\n", StringComparison.Ordinal)..];
            secrets.Add(name + " as text", Text.Bytes(key.Split('\n')[1][20..]));
        }

        List<MemoryFinding> found = ProcessMemorySearch.Find(site.Program.ProcessId, secrets);
        string[] dumped = [.. found.Where(finding => finding.InDump).Select(finding => $"{finding.Secret} in {finding.Place}")];

        Assert.Empty(dumped);
        Assert.True(found.Count > dumped.Length, "the search finds nothing at all");
    }

    private async Task MakeFilesAsync()
    {
        string rsa = await File.ReadAllTextAsync(files.PathOf("server.key"), TestContext.Current.CancellationToken);
        File.SetUnixFileMode(
            files.Write("both.pem", rsa.TrimEnd('\n') + "\n" + await File.ReadAllTextAsync(files.PathOf("server.pem"), TestContext.Current.CancellationToken)),
            UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (_, string key) = await RunningProcess.RunAsync("openssl", ["genpkey", "-algorithm", "ED25519"]);
        files.Write("ed.key", key);
        (int code, string output) = await RunningProcess.RunAsync(
            "openssl", ["req", "-x509", "-new", "-key", files.PathOf("ed.key"), "-days", "30", "-subj", "/CN=ed", "-out", files.PathOf("ed.pem")]);
        Assert.True(code == 0, output);
    }

    private void AddRsa(Dictionary<string, byte[]> secrets, string name)
    {
        using var rsa = RSA.Create();
        rsa.ImportFromPem(File.ReadAllText(files.PathOf(name + ".key")));
        RSAParameters numbers = rsa.ExportParameters(true);
        AddNumber(secrets, "rsa d", numbers.D!);
        AddNumber(secrets, "rsa p", numbers.P!);
        AddNumber(secrets, "rsa q", numbers.Q!);
        AddNumber(secrets, "rsa dp", numbers.DP!);
        AddNumber(secrets, "rsa dq", numbers.DQ!);
        AddNumber(secrets, "rsa qinv", numbers.InverseQ!);
    }

    /// <summary>As files have it, and as OpenSSL holds numbers on a machine that stores the least significant byte first.</summary>
    private static void AddNumber(Dictionary<string, byte[]> secrets, string name, byte[] number)
    {
        const int Significant = 24;
        secrets.Add(name + " as in files", number[^Significant..]);
        secrets.Add(name + " as in calculations", [.. number[^Significant..].Reverse()]);
    }
}
