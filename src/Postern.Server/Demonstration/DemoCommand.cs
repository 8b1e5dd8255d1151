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
/// <c>postern demo</c>: everything at once on high ports, nothing to configure. A made-up certificate, two users, a small auth
/// server and small IMAP, POP3 and SMTP servers over the same mail; prints what to try, and one line for each login.
/// </summary>
internal static class DemoCommand
{
    private const int ImapPort = 9143;
    private const int ImapsPort = 9993;
    private const int Pop3Port = 9110;
    private const int Pop3sPort = 9995;
    private const int SubmissionPort = 9587;
    private const int SmtpsPort = 9465;
    private const int SmtpPort = 9025;

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

    private static string Instructions
    {
        get
        {
            (DemoUser alice, DemoUser bob) = (DemoServers.Users[0], DemoServers.Users[1]);
            string toBob = $"{bob.Name}@{DemoUser.Domain}";
            string fromAlice = $"{alice.Name}@{DemoUser.Domain}";
            const string sClient = "openssl s_client -quiet -verify_quiet";
            return $"""
                postern demo: a mail proxy with TLS in front of small built-in IMAP, POP3 and SMTP servers.

                  127.0.0.1:{ImapPort}   IMAP with STARTTLS         127.0.0.1:{ImapsPort}   IMAP over TLS
                  127.0.0.1:{Pop3Port}   POP3 with STLS             127.0.0.1:{Pop3sPort}   POP3 over TLS
                  127.0.0.1:{SubmissionPort}   SMTP with STARTTLS         127.0.0.1:{SmtpsPort}   SMTP over TLS
                  127.0.0.1:{SmtpPort}   SMTP as other mail servers use it, without sign-in
                  users    {alice.Name} / {alice.Password}   and   {bob.Name} / {bob.Password}
                  The certificate was made up just now: clients must not verify it.

                Paste into another terminal. Read mail:

                  curl -k -u {alice.Name}:{alice.Password} 'imaps://127.0.0.1:{ImapsPort}/INBOX;MAILINDEX=1'

                  curl -k -u {alice.Name}:{alice.Password} pop3s://127.0.0.1:{Pop3sPort}/2

                Send mail, and see that it has arrived:

                  printf 'From: {fromAlice}\r\nTo: {toBob}\r\nSubject: Sent by curl\r\n\r\nThrough postern.\r\n' | curl -k -u {alice.Name}:{alice.Password} --mail-from {fromAlice} --mail-rcpt {toBob} --upload-file - smtps://127.0.0.1:{SmtpsPort}

                  swaks --server 127.0.0.1:{SubmissionPort} -tls --auth-user {alice.Name} --auth-password {alice.Password} --from {fromAlice} --to {toBob} --header 'Subject: Sent by swaks'

                  curl -k -u {bob.Name}:{bob.Password} 'imaps://127.0.0.1:{ImapsPort}/INBOX;MAILINDEX=*'

                Speak the protocols:

                  printf 'a LOGIN {bob.Name} {bob.Password}\r\nb LIST "" "*"\r\nc LOGOUT\r\n' | {sClient} -starttls imap -connect 127.0.0.1:{ImapPort}

                  printf 'USER {bob.Name}\r\nPASS {bob.Password}\r\nLIST\r\nQUIT\r\n' | {sClient} -starttls pop3 -connect 127.0.0.1:{Pop3Port}

                  printf 'EHLO client.test\r\nMAIL FROM:<carol@client.test>\r\nRCPT TO:<{toBob}>\r\nDATA\r\nSubject: From outside\r\n\r\nHello.\r\n.\r\nQUIT\r\n' | {sClient} -starttls smtp -connect 127.0.0.1:{SmtpPort}

                And a wrong password:

                  curl -k -u {alice.Name}:wrong imaps://127.0.0.1:{ImapsPort}/

                One line for each login follows; Ctrl-C ends it.


                """;
        }
    }

    private static MainSettings CreateSettings(DemoServers servers, SelfSignedCertificate certificate) => new()
    {
        Daemon = false,
        MasterProcess = false,
        PidFile = "",
        ErrorLogs = [new ErrorLogSettings { Kind = ErrorLogTargetKind.StandardError, Level = LogLevel.Error }],
        Servers =
        [
            CreateServer(servers, certificate, MailProtocol.Imap, ImapPort, ssl: false),
            CreateServer(servers, certificate, MailProtocol.Imap, ImapsPort, ssl: true),
            CreateServer(servers, certificate, MailProtocol.Pop3, Pop3Port, ssl: false),
            CreateServer(servers, certificate, MailProtocol.Pop3, Pop3sPort, ssl: true),
            CreateServer(servers, certificate, MailProtocol.Smtp, SubmissionPort, ssl: false),
            CreateServer(servers, certificate, MailProtocol.Smtp, SmtpsPort, ssl: true),
            CreateServer(servers, certificate, MailProtocol.Smtp, SmtpPort, ssl: false) with { AuthMethods = AuthMethods.None },
        ],
    };

    private static MailServerSettings CreateServer(
        DemoServers servers, SelfSignedCertificate certificate, MailProtocol protocol, int port, bool ssl) => new()
        {
            Protocol = protocol,
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
            Capabilities = protocol switch
            {
                MailProtocol.Imap => ["IMAP4", "IMAP4rev1", "UIDPLUS"],
                MailProtocol.Pop3 => ["TOP", "USER", "UIDL"],
                _ => ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"],
            },
        };

    private static void Show(StandardStreams streams, LoginNotice notice)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        line.Append(TimeProvider.System.GetLocalNow().ToString("HH:mm:ss", CultureInfo.InvariantCulture));
        line.Append(notice.Accepted ? "  accepted  "u8 : "  refused   "u8);
        line.Append(MailProtocols.AlpnName(notice.Protocol));
        line.Append("  "u8);
        line.AppendEscaped(notice.Login is { Length: > 0 } ? notice.Login : "(mail without sign-in)"u8);
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
