using System.Runtime.CompilerServices;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>What packaging/ makes: the Debian package of the binary under test, and the manual pages.</summary>
public sealed class PackageTests
{
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task BuildDeb_BinaryUnderTest_PackageIsCompleteAndItsConfigurationPassesItsBinary()
    {
        using var folder = new TemporaryFolder();

        string package = (await RunAsync(
            Packaging("build-deb.sh"), "--binary", ProgramUnderTest.ExecutableOf(MailProxy.Postern), "--version", "1.2.3", "--output", folder.File("out"))).Trim();
        _ = await RunAsync("dpkg-deb", "-R", package, folder.File("root"));

        string control = await File.ReadAllTextAsync(folder.File("root/DEBIAN/control"), TestContext.Current.CancellationToken);
        Assert.Contains("\nVersion: 1.2.3\n", control, StringComparison.Ordinal);
        Assert.Matches(@"\nDepends: .*libc6 \(>= 2\.\d+\), libssl3t64 .*\n", control);
        Assert.Equal(
            ["/etc/logrotate.d/postern", "/etc/postern/postern.conf"],
            await File.ReadAllLinesAsync(folder.File("root/DEBIAN/conffiles"), TestContext.Current.CancellationToken));
        Assert.All(
            [
                "usr/sbin/postern",
                "lib/systemd/system/postern.service",
                "usr/lib/tmpfiles.d/postern.conf",
                "usr/lib/postern/upgrade-binary",
                "usr/share/man/man8/postern.8.gz",
                "usr/share/man/man5/postern.conf.5.gz",
                "usr/share/doc/postern/copyright",
                "usr/share/doc/postern/directives.md",
            ],
            file => Assert.True(File.Exists(folder.File("root/" + file)), file));
        foreach (string script in new[] { "DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm", "usr/lib/postern/upgrade-binary" })
        {
            _ = await RunAsync("sh", "-n", folder.File("root/" + script));
        }

        // Only the package's installation makes the user and the directories.
        string configuration = (await File.ReadAllTextAsync(folder.File("root/etc/postern/postern.conf"), TestContext.Current.CancellationToken))
            .Replace("user postern;", "", StringComparison.Ordinal)
            .Replace("/run/postern", folder.Path, StringComparison.Ordinal)
            .Replace("/var/log/postern", folder.Path, StringComparison.Ordinal);
        await File.WriteAllTextAsync(folder.File("postern.conf"), configuration, TestContext.Current.CancellationToken);
        Assert.Contains(
            "test is successful", await RunAsync(folder.File("root/usr/sbin/postern"), "-t", "-c", folder.File("postern.conf")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("postern.8")]
    [InlineData("postern.conf.5")]
    public async Task ManualPage_Checked_HasNoFault(string page) =>
        Assert.Equal("", await RunAsync("mandoc", "-Tlint", "-Wwarning", Packaging(page)));

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        (int exitCode, string output) = await RunningProcess.RunAsync(program, arguments, _limit);
        Assert.True(exitCode == 0, $"{program} {string.Join(' ', arguments)} ended with {exitCode}: {output}");
        return output;
    }

    private static string Packaging(string file, [CallerFilePath] string test = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(test)!, "../../packaging", file));
}
