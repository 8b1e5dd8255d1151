using Postern.TestKit;

namespace Postern.EndToEndTests;

/// <summary>The mail proxy of a test with its three ports: clear text with STARTTLS, TLS from the first byte, and clear text only.</summary>
internal sealed class ProxyPorts : IAsyncDisposable
{
    private readonly TemporaryFolder _folder;

    private ProxyPorts(TemporaryFolder folder, ProgramUnderTest program, TestCertificate certificate, int startTls, int tls)
    {
        _folder = folder;
        Program = program;
        Certificate = certificate;
        StartTls = startTls;
        Tls = tls;
    }

    public ProgramUnderTest Program { get; }

    public TestCertificate Certificate { get; }

    /// <summary>Clear text that offers STARTTLS.</summary>
    public int StartTls { get; }

    /// <summary>TLS from the first byte.</summary>
    public int Tls { get; }

    /// <summary>Which program: postern, unless <c>POSTERN_E2E_PROXY</c> says nginx.</summary>
    public static MailProxy Chosen =>
        Environment.GetEnvironmentVariable("POSTERN_E2E_PROXY") is { Length: > 0 } name ? Enum.Parse<MailProxy>(name, ignoreCase: true) : MailProxy.Postern;

    /// <param name="authUrl">Of the auth server.</param>
    /// <param name="workerConnections">The size of the connection table.</param>
    /// <param name="more">More directives in the mail block.</param>
    public static async Task<ProxyPorts> StartAsync(string authUrl, int workerConnections = 4096, string more = "")
    {
        var folder = new TemporaryFolder();
        try
        {
            int startTls = LoopbackPorts.Next();
            int tls = LoopbackPorts.Next();
            TestCertificate certificate = TestCertificate.WriteEcdsa(folder);
            string mail =
                $$"""
                mail {
                    server_name mx.example.test;
                    auth_http {{authUrl}};
                    {{more}}
                    imap_auth plain login cram-md5;
                    imap_capabilities IMAP4rev1 LITERAL+ UIDPLUS IDLE;
                    ssl_certificate {{certificate.CertificateFile}};
                    ssl_certificate_key {{certificate.KeyFile}};
                    ssl_protocols TLSv1.2 TLSv1.3;
                    server {
                        listen 127.0.0.1:{{startTls}};
                        protocol imap;
                        starttls on;
                    }
                    server {
                        listen 127.0.0.1:{{tls}} ssl;
                        protocol imap;
                    }
                }
                """;
            ProgramUnderTest program = await ProgramUnderTest.StartAsync(Chosen, folder, mail, tls, workerConnections);
            return new ProxyPorts(folder, program, certificate, startTls, tls);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Program.DisposeAsync();
        _folder.Dispose();
    }
}
