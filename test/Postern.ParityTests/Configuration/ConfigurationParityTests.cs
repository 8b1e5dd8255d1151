using System.Text.RegularExpressions;
using Postern.TestKit;
using Xunit;

namespace Postern.ParityTests.Configuration;

/// <summary>
/// The same configuration file through <c>nginx -t</c> and <c>postern -t</c>: first message, exit code and the line
/// <c>syntax is ok</c> must agree. Needs Debian's nginx with its mail module, and <c>POSTERN_BINARY</c>.
/// </summary>
public sealed partial class ConfigurationParityTests(ConfigurationFolder folder) : IClassFixture<ConfigurationFolder>
{
    public static TheoryData<string> Lexer => [.. ConfigurationCases.Lexer];

    public static TheoryData<string> Values => [.. ConfigurationCases.Values.Select(InMail)];

    public static TheoryData<string> Include => [.. ConfigurationCases.Include];

    public static TheoryData<string> Contexts => [.. ConfigurationCases.Contexts];

    public static TheoryData<string> MainAndEvents => [.. ConfigurationCases.MainAndEvents];

    public static TheoryData<string> ErrorLog => [.. ConfigurationCases.ErrorLog];

    public static TheoryData<string> Mail => [.. ConfigurationCases.Mail.Select(InMail)];

    public static TheoryData<string> Listen => [.. ConfigurationCases.Listen.Select(
        arguments => $"events {{}} mail {{ server {{ listen {arguments}; protocol imap; foo; }} }}")];

    public static TheoryData<string> Tls =>
    [
        .. TlsCases.Syntax.Select(InMail),
        .. TlsCases.Effects.Select(InTlsServer),
        .. TlsCases.Servers.Select(servers => $"events {{}} mail {{ auth_http 127.0.0.1:1; {servers}\n}}\n"),
    ];

    public static TheoryData<string, string> TlsDifferences => new([.. TlsCases.Differences.Select(
        difference => (InTlsServer(difference.Directives), difference.Expected))]);

    public static TheoryData<string, string, string> TlsNewer => new([.. TlsCases.Newer.Select(
        newer => (InTlsServer(newer.Directives), newer.Expected, newer.Since))]);

    public static TheoryData<string, string> Differences => new(KnownDifferences.All);

    public static TheoryData<string, string, string> Newer => new(KnownDifferences.Newer);

    [Theory]
    [MemberData(nameof(Lexer))]
    [MemberData(nameof(Values))]
    [MemberData(nameof(Include))]
    [MemberData(nameof(Contexts))]
    [MemberData(nameof(MainAndEvents))]
    [MemberData(nameof(ErrorLog))]
    [MemberData(nameof(Mail))]
    [MemberData(nameof(Listen))]
    public void Outcome_SameConfiguration_IsNginxs(string configuration)
    {
        TestOutcome nginx = folder.TestWithNginx(configuration);
        TestOutcome expected = nginx with { FirstMessage = AsToday(nginx.FirstMessage) };

        Assert.Equal(expected, folder.TestWithPostern(configuration));
    }

    [Theory]
    [MemberData(nameof(Differences))]
    public void FirstMessage_DocumentedDifference_IsPosterns(string configuration, string expected)
    {
        Assert.NotEqual(expected, folder.TestWithNginx(configuration).FirstMessage);
        Assert.Equal(expected, folder.TestWithPostern(configuration).FirstMessage);
    }

    [Theory]
    [MemberData(nameof(Newer))]
    [MemberData(nameof(TlsNewer))]
    public void FirstMessage_NewerThanTheInstalledNginx_IsPosternsAndNewerNginxs(string configuration, string expected, string since)
    {
        bool agrees = WithoutTail(folder.TestWithNginx(configuration).FirstMessage) == expected;
        Assert.Equal(ProgramUnderTest.NginxVersion >= Version.Parse(since), agrees);
        Assert.Equal(expected, WithoutTail(folder.TestWithPostern(configuration).FirstMessage));
    }

    /// <summary>What OpenSSL says behind the message depends on its version and on the function called.</summary>
    [Theory]
    [MemberData(nameof(Tls))]
    public void Outcome_SameTlsConfiguration_IsNginxsButForOpenSslsWords(string configuration)
    {
        TestOutcome nginx = folder.TestWithNginx(configuration);
        TestOutcome postern = folder.TestWithPostern(configuration);

        Assert.Equal(nginx with { FirstMessage = WithoutTail(nginx.FirstMessage) }, postern with { FirstMessage = WithoutTail(postern.FirstMessage) });
    }

    [Theory]
    [MemberData(nameof(TlsDifferences))]
    public void FirstMessage_DocumentedTlsDifference_IsPosterns(string configuration, string expected)
    {
        Assert.NotEqual(expected, WithoutTail(folder.TestWithNginx(configuration).FirstMessage));
        Assert.Equal(expected, WithoutTail(folder.TestWithPostern(configuration).FirstMessage));
    }

    /// <summary>A server that needs TLS, on one line, the closing braces of server and mail on lines of their own.</summary>
    private static string InTlsServer(string directives) =>
        $"events {{}} mail {{ auth_http 127.0.0.1:1; server {{ listen 127.0.0.1:14300 ssl; protocol imap; {directives}\n}}\n}}\n";

    private static string WithoutTail(string message) =>
        message.IndexOf(" (SSL:", StringComparison.Ordinal) is var tail and >= 0 ? message[..tail] : message;

    private static string InMail(string directives) => $"events {{}} mail {{ {directives} }}";

    /// <summary>What nginx 1.31.5 says where the installed 1.22.1 has other words.</summary>
    private static string AsToday(string message) => InvalidParameter().Replace(message, "invalid parameter \"$1\"");

    [GeneratedRegex("the invalid \"(.*)\" parameter")]
    private static partial Regex InvalidParameter();
}
