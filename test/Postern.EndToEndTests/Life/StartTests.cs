using System.Security.Cryptography;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Life;

/// <summary>A start with a master: TLS is understood by the worker only, and what is wrong with it must show as if it were one process.</summary>
public sealed class StartTests
{
    private const string Detached = "";
    private const string Foreground = "daemon off;";

    [Theory]
    [InlineData(Detached)]
    [InlineData(Foreground)]
    public async Task Start_KeyOfAnotherType_SaysSoOnceAndLeavesNothingBehind(string main)
    {
        using var folder = new TemporaryFolder();
        using var other = RSA.Create(2048);
        string key = folder.Write("other.key", other.ExportPkcs8PrivateKeyPem());
        int port = LoopbackPorts.Next();
        (int code, string output) = await RunAsync(folder, port, main, key, "");

        string fault = $"SSL_CTX_use_PrivateKey(\"{key}\") failed (SSL: ";
        Assert.Equal(1, code);
        Assert.StartsWith("nginx: [emerg] " + fault, output, StringComparison.Ordinal);
        Assert.Equal(2, output.Split("nginx: ").Length);
        Assert.Equal(2, (await File.ReadAllTextAsync(folder.File("log"), TestContext.Current.CancellationToken)).Split(fault).Length);
        Assert.False(File.Exists(folder.File("pid")));
        Assert.False(LoopbackPorts.IsListening(port));
    }

    [Fact]
    public async Task Start_KeyThatIsNotThere_NamesTheReason()
    {
        using var folder = new TemporaryFolder();
        (int code, string output) = await RunAsync(folder, LoopbackPorts.Next(), Foreground, "/nonexistent/a.key", "");

        Assert.Equal(1, code);
        Assert.Contains(
            "[emerg] cannot load certificate key \"/nonexistent/a.key\": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:",
            output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_Warnings_AreSaidOnceByWhoeverSeesThem()
    {
        using var folder = new TemporaryFolder();
        TestCertificate certificate = TestCertificate.WriteEcdsa(folder);
        (int code, string output) = await RunAsync(
            folder, LoopbackPorts.Next(), Detached, certificate.KeyFile, "ssl_protocols TLSv1 TLSv1.2; ssl on;", certificate.CertificateFile);
        await StopAsync(folder);

        Assert.True(code == 0, output);
        string log = await File.ReadAllTextAsync(folder.File("log"), TestContext.Current.CancellationToken);
        foreach (string text in (string[])[output, log])
        {
            Assert.Equal(2, text.Split("[warn]").Length - 1);
            Assert.Equal(2, text.Split("the \"ssl\" directive is deprecated").Length);
            Assert.Equal(2, text.Split("need \"@SECLEVEL=0\"").Length);
        }

        // For the log only.
        Assert.Contains("can be read by others than its owner", log, StringComparison.Ordinal);
        Assert.DoesNotContain("can be read", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_DetachedWithPassphraseFromPipe_IsAskedForOnce()
    {
        using var folder = new TemporaryFolder();
        TestCertificate certificate = TestCertificate.WriteEcdsa(folder);
        using var key = ECDsa.Create();
        key.ImportFromPem(await File.ReadAllTextAsync(certificate.KeyFile, TestContext.Current.CancellationToken));
        string encrypted = folder.Write(
            "encrypted.key",
            key.ExportEncryptedPkcs8PrivateKeyPem("open sesame", new PbeParameters(PbeEncryptionAlgorithm.Aes128Cbc, HashAlgorithmName.SHA256, 1000)));
        string pipe = folder.File("pipe");
        Assert.Equal((0, ""), await RunningProcess.RunAsync("mkfifo", [pipe]));

        // A writer that gives it away once, and waits for a reader.
        Task give = Task.Run(() => File.WriteAllText(pipe, "open sesame\n"), TestContext.Current.CancellationToken);
        (int code, string output) = await RunAsync(
            folder, LoopbackPorts.Next(), Detached, encrypted, $"ssl_password_file {pipe};", certificate.CertificateFile);
        await give;
        await StopAsync(folder);

        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task Processes_InAList_SayWhatTheyAre()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);

        string master = await File.ReadAllTextAsync($"/proc/{service.Master}/cmdline", TestContext.Current.CancellationToken);

        Assert.StartsWith($"postern: master process {ProgramUnderTest.ExecutableOf(MailProxy.Postern)} -p ", master, StringComparison.Ordinal);
        Assert.Single(MailService.WorkersOf(service.Master));
    }

    [Theory]
    [InlineData(Detached)]
    [InlineData(Foreground)]
    public async Task Usr1_AfterARotation_NobodyHoldsTheOldLog(string main)
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, main);
        await Deadline.UntilAsync(() => MailService.WorkersOf(service.Master).Count == 1, () => service.Log);
        string old = service.LogFile + ".1";
        File.Move(service.LogFile, old);
        service.Signal(MailService.Usr1);

        int[] processes = [service.Master, .. MailService.WorkersOf(service.Master)];
        await Deadline.UntilAsync(
            () => !processes.SelectMany(process => Directory.GetFiles($"/proc/{process}/fd")).Any(file => TargetOf(file) == old),
            () => "the old log is still open");
    }

    /// <returns>Null if it was closed since it was listed.</returns>
    private static string? TargetOf(string descriptor)
    {
        try
        {
            return File.ResolveLinkTarget(descriptor, false)?.FullName;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private static Task<(int ExitCode, string Output)> RunAsync(
        TemporaryFolder folder, int port, string main, string key, string mail, string? certificate = null)
    {
        certificate ??= TestCertificate.WriteEcdsa(folder).CertificateFile;
        string path = folder.Write(
            "postern.conf",
            $$"""
            {{main}}
            pid {{folder.File("pid")}};
            error_log {{folder.File("log")}} notice;
            events { }
            mail {
                auth_http 127.0.0.1:1/;
                ssl_certificate {{certificate}};
                ssl_certificate_key {{key}};
                {{mail}}
                server { listen 127.0.0.1:{{port}} ssl; protocol imap; }
            }

            """);
        return RunningProcess.RunAsync(
            ProgramUnderTest.ExecutableOf(MailProxy.Postern), ["-c", path, "-e", folder.File("start.log")], workingFolder: folder.Path);
    }

    private static async Task StopAsync(TemporaryFolder folder)
    {
        int master = int.Parse(
            await File.ReadAllTextAsync(folder.File("pid"), TestContext.Current.CancellationToken), System.Globalization.CultureInfo.InvariantCulture);
        MailService.Signal(master, MailService.Term);
        await Deadline.UntilAsync(() => !MailService.IsRunning(master), () => "it does not end");
    }
}
