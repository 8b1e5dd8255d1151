using System.Net;
using Postern.Net.Tls;
using Postern.Server.Configuration;
using Postern.Sessions;
using Xunit;

namespace Postern.Server.Tests;

/// <summary>Loads configurations from a temporary folder that is gone after the test; host names are made up.</summary>
public abstract class ConfigurationTests : IDisposable
{
    private static readonly Lazy<SelfSignedCertificate> _certificate = new(() => SelfSignedCertificate.Create("test", "DNS:test"));

    /// <summary>Ends with <c>/</c>; prefix and directory of the configuration file.</summary>
    protected string Folder { get; } = Directory.CreateTempSubdirectory("postern-server-").FullName + "/";

    /// <summary>A certificate and its key, for servers that need TLS: their files are opened while the configuration is read.</summary>
    protected static SelfSignedCertificate Certificate => _certificate.Value;

    public void Dispose()
    {
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    protected ConfigurationResult Load(string text, string? directives = null, string? errorLog = null)
    {
        File.WriteAllText(Folder + "n.conf", text);
        return ConfigurationLoader.Load(new ConfigurationSource
        {
            Prefix = Folder,
            ConfigFile = "n.conf",
            Directives = directives,
            ErrorLog = errorLog,
            ResolveHost = Resolve,
        });
    }

    /// <summary>The settings of a configuration that must be right.</summary>
    protected MainSettings Settings(string text)
    {
        ConfigurationResult result = Load(text);
        Assert.Empty(result.AllMessages.Where(message => message.IsError).Select(message => message.Render()));
        return result.Settings!;
    }

    /// <summary>Writes a file into the folder.</summary>
    protected void WriteFile(string name, string content) => File.WriteAllText(Folder + name, content);

    /// <summary>The first IMAP server of a mail block.</summary>
    /// <param name="mail">Directives of the mail block.</param>
    /// <param name="server">Directives of its server, beside protocol and listen.</param>
    protected MailServerSettings Server(string mail = "", string server = "") =>
        Settings($"events {{}} mail {{ auth_http 127.0.0.1:9000/auth; {mail} server {{ listen 127.0.0.1:143; {server} }} }}").Servers[0];

    /// <summary>All messages, rendered, with the folder removed.</summary>
    protected string[] Messages(string text) => [.. Load(text).AllMessages.Select(message => message.Render().Replace(Folder, ""))];

    private static IReadOnlyList<IPAddress> Resolve(string name) => name switch
    {
        "two.example" => [IPAddress.Parse("192.0.2.1"), IPAddress.Parse("2001:db8::1"), IPAddress.Parse("192.0.2.1")],
        "one.example" => [IPAddress.Parse("192.0.2.7")],
        _ => [],
    };
}
