using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Postern.Sessions;
using Xunit;

namespace Postern.Server.Tests;

/// <summary>packaging/postern.conf is right as it is delivered, and with everything in it switched on.</summary>
public sealed partial class PackagedConfigurationTests : ConfigurationTests
{
    [Fact]
    public void Load_AsDelivered_IsRightAndHasNoServer()
    {
        Assert.Empty(Messages(Delivered()));
        Assert.Empty(Settings(Delivered()).Servers);
    }

    [Fact]
    public void Load_EveryDirectiveSwitchedOn_IsRight()
    {
        WriteFile("cert.pem", Certificate.CertificatePem);
        WriteFile("key.pem", Certificate.KeyPem);
        string text = SwitchedOffPattern().Replace(Delivered(), "")
            .Replace("/etc/ssl/mail/fullchain.pem", "cert.pem", StringComparison.Ordinal)
            .Replace("/etc/ssl/mail/privkey.pem", "key.pem", StringComparison.Ordinal);

        // What is said about the age of the test's certificate and its key's permissions is not the point here.
        Assert.Empty(Load(text).AllMessages.Where(message => message.Severity != Config.ConfigSeverity.Notice).Select(message => message.Render()));
        Assert.Equal(
            [MailProtocol.Imap, MailProtocol.Imap, MailProtocol.Pop3, MailProtocol.Smtp],
            Settings(text).Servers.Select(server => server.Protocol));
    }

    /// <summary>Without the user, whom only the package makes.</summary>
    private static string Delivered([CallerFilePath] string test = "") =>
        File.ReadAllText(Path.Combine(Path.GetDirectoryName(test)!, "../../packaging/postern.conf"))
            .Replace("user postern;", "", StringComparison.Ordinal);

    /// <summary>A directive behind a <c>#</c>; in comments a space follows.</summary>
    [GeneratedRegex(@"#(?=[a-z])")]
    private static partial Regex SwitchedOffPattern();
}
