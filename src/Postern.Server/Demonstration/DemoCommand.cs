using System.Globalization;
using Postern.Auth;
using Postern.Demo;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tls;
using Postern.Server.Running;
using Postern.Sessions;

namespace Postern.Server.Demonstration;

/// <summary>
/// <c>postern demo</c>: everything at once on high ports, nothing to configure. A made-up certificate, two users, a small
/// auth server and a small IMAP server; prints what to try, and one line for each login.
/// </summary>
internal static class DemoCommand
{
    private const int StartTlsPort = 9143;
    private const int TlsPort = 9993;

    /// <param name="streams">Where everything is printed.</param>
    /// <returns>The exit code.</returns>
    public static int Run(StandardStreams streams)
    {
        DemoServers servers = DemoServers.Start();
        try
        {
            return Serve(streams, servers);
        }
        finally
        {
            // The process ends now: nothing else runs that could be waited for.
            servers.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private static int Serve(StandardStreams streams, DemoServers servers)
    {
        MainSettings settings = CreateSettings(servers, SelfSignedCertificate.Create("localhost", "DNS:localhost,IP:127.0.0.1"));
        var server = new PosternServer(streams, notice => Show(streams, notice)) { Started = () => streams.Output(Instructions) };
        int status = server.Run(settings, [], new CommandLine());
        if (status == 0)
        {
            streams.Output("\nbye\n");
        }

        return status;
    }

    private static string Instructions { get; } = $"""
        postern demo: an IMAP proxy with TLS in front of a small built-in IMAP server.

          127.0.0.1:{StartTlsPort}   IMAP with STARTTLS
          127.0.0.1:{TlsPort}   IMAP over TLS          (certificate made up just now, so clients must not verify it)
          users       {DemoServers.Users[0].Name} / {DemoServers.Users[0].Password}   and   {DemoServers.Users[1].Name} / {DemoServers.Users[1].Password}

        Paste into another terminal:

          curl -k -u {DemoServers.Users[0].Name}:{DemoServers.Users[0].Password} 'imaps://127.0.0.1:{TlsPort}/INBOX;MAILINDEX=1'

          printf 'a LOGIN {DemoServers.Users[1].Name} {DemoServers.Users[1].Password}\r\nb LIST "" "*"\r\nc LOGOUT\r\n' | openssl s_client -quiet -verify_quiet -starttls imap -connect 127.0.0.1:{StartTlsPort}

          curl -k -u {DemoServers.Users[0].Name}:wrong 'imaps://127.0.0.1:{TlsPort}/'

        One line for each login follows; Ctrl-C ends it.


        """;

    private static MainSettings CreateSettings(DemoServers servers, SelfSignedCertificate certificate)
    {
        MailServerSettings startTls = CreateServer(servers, certificate, StartTlsPort, ssl: false);
        MailServerSettings tls = CreateServer(servers, certificate, TlsPort, ssl: true);
        return new MainSettings
        {
            Daemon = false,
            MasterProcess = false,
            PidFile = "",
            ErrorLogs = [new ErrorLogSettings { Kind = ErrorLogTargetKind.StandardError, Level = LogLevel.Error }],
            Servers = [startTls, tls],
        };
    }

    private static MailServerSettings CreateServer(DemoServers servers, SelfSignedCertificate certificate, int port, bool ssl) => new()
    {
        Protocol = MailProtocol.Imap,
        Listen = [new ListenSettings { Address = EndpointAddress.FromIP([127, 0, 0, 1], port), Ssl = ssl }],
        Tls = new TlsServerSettings
        {
            StartTls = ssl ? StartTls.Off : StartTls.On,
            Certificates = ["data:" + certificate.CertificatePem],
            CertificateKeys = ["data:" + certificate.KeyPem],
            Needed = true,
        },
        AuthHttp = new AuthHttpSettings
        {
            Address = EndpointAddress.FromIP([127, 0, 0, 1], servers.Auth.EndPoint.Port),
            Host = "127.0.0.1",
            Uri = "/auth",
        },
        ServerName = "localhost",
        AuthMethods = AuthMethods.Plain | AuthMethods.Login,
        Capabilities = ["IMAP4", "IMAP4rev1", "UIDPLUS"],
    };

    private static void Show(StandardStreams streams, LoginNotice notice)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        line.Append(TimeProvider.System.GetLocalNow().ToString("HH:mm:ss", CultureInfo.InvariantCulture));
        line.Append(notice.Accepted ? "  login   "u8 : "  refused "u8);
        line.AppendEscaped(notice.Login);
        line.Append("  from "u8);
        line.Append(notice.Client);
        line.Append("  "u8);
        line.Append(notice.Tls.Length > 0 ? notice.Tls : "clear text");
        if (notice.Upstream.Length > 0)
        {
            line.Append("  backend "u8);
            line.Append(notice.Upstream);
        }

        line.Append(string.Create(CultureInfo.InvariantCulture, $"  {notice.Elapsed.TotalMilliseconds:0} ms\n"));
        streams.Output(line.Written);
    }
}
