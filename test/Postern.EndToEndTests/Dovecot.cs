using System.Globalization;
using System.Net;
using Postern.TestKit;

namespace Postern.EndToEndTests;

/// <summary>
/// A real Dovecot on loopback ports, in clear text, run from files in a folder of its own: IMAP and POP3, and LMTP and sign-in for
/// Postfix. Every user exists, with the password <see cref="Password"/>.
/// </summary>
internal sealed class Dovecot : IAsyncDisposable
{
    public const string Password = "s3cret \"word\"";

    private readonly TemporaryFolder _folder;
    private readonly RunningProcess _process;

    private Dovecot(TemporaryFolder folder, RunningProcess process, int port, int pop3Port, int lmtpPort)
    {
        _folder = folder;
        _process = process;
        EndPoint = new IPEndPoint(IPAddress.Loopback, port);
        Pop3EndPoint = new IPEndPoint(IPAddress.Loopback, pop3Port);
        LmtpPort = lmtpPort;
    }

    /// <summary>IMAP.</summary>
    public IPEndPoint EndPoint { get; }

    public IPEndPoint Pop3EndPoint { get; }

    public int LmtpPort { get; }

    /// <summary>A unix socket where other servers ask about passwords (Dovecot's auth protocol).</summary>
    public string SaslSocket => _folder.File("sasl");

    public string Log => LogOf(_folder);

    public static async Task<Dovecot> StartAsync()
    {
        var folder = new TemporaryFolder();
        int port = LoopbackPorts.Next();
        int pop3Port = LoopbackPorts.Next();
        int lmtpPort = LoopbackPorts.Next();
        bool isRoot = Environment.IsPrivilegedProcess;

        // Dovecot refuses mail users with the rights of root; without root it can be nobody but us.
        string mailUser = isRoot ? "nobody" : Environment.UserName;
        string internalUsers = isRoot
            ? ""
            : $"""
              default_internal_user = {mailUser}
              default_login_user = {mailUser}
              default_internal_group = {mailUser}
              """;
        string configuration = folder.Write(
            "dovecot.conf",
            $$"""
            base_dir = {{folder.File("run")}}
            log_path = {{folder.File("dovecot.log")}}
            {{internalUsers}}
            protocols = imap pop3 lmtp
            listen = 127.0.0.1
            ssl = no
            disable_plaintext_auth = no
            auth_mechanisms = plain
            first_valid_uid = 1
            mail_location = maildir:~/Maildir
            mail_max_userip_connections = 1000
            default_client_limit = 4096
            default_process_limit = 1024

            passdb {
              driver = passwd-file
              args = scheme=plain username_format=user {{folder.Write("passwd", $"user:{Password}\n")}}
            }
            userdb {
              driver = static
              args = uid={{mailUser}} gid={{(isRoot ? "nogroup" : mailUser)}} home={{folder.File("mail")}}/%u
            }
            service imap-login {
              chroot =
              service_count = 0
              process_min_avail = 2
              inet_listener imap {
                port = {{port.ToString(CultureInfo.InvariantCulture)}}
              }
              inet_listener imaps {
                port = 0
              }
            }
            service imap {
              client_limit = 20
              process_limit = 1024
            }
            service pop3-login {
              chroot =
              service_count = 0
              inet_listener pop3 {
                port = {{pop3Port.ToString(CultureInfo.InvariantCulture)}}
              }
              inet_listener pop3s {
                port = 0
              }
            }
            service lmtp {
              inet_listener lmtp {
                address = 127.0.0.1
                port = {{lmtpPort.ToString(CultureInfo.InvariantCulture)}}
              }
            }
            service auth {
              unix_listener {{folder.File("sasl")}} {
                mode = 0666
              }
            }
            postmaster_address = postmaster@example.test
            service anvil {
              chroot =
            }
            namespace inbox {
              inbox = yes
            }

            """);
        OpenToMailUser(folder, Directory.CreateDirectory(folder.File("mail")).FullName);
        RunningProcess process = RunningProcess.Start("/usr/sbin/dovecot", ["-F", "-c", configuration], folder.Path);
        try
        {
            await process.WaitForListenAsync(port);
            await process.WaitForListenAsync(pop3Port);
            await process.WaitForListenAsync(lmtpPort);
        }
        catch (Exception e)
        {
            string log = LogOf(folder);
            await process.DisposeAsync();
            folder.Dispose();
            throw new InvalidOperationException($"{e.Message}\n{log}", e);
        }

        return new Dovecot(folder, process, port, pop3Port, lmtpPort);
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private static string LogOf(TemporaryFolder folder) =>
        File.Exists(folder.File("dovecot.log")) ? File.ReadAllText(folder.File("dovecot.log")) : "";

    private static void OpenToMailUser(TemporaryFolder folder, string mail)
    {
        const UnixFileMode everybodyMayPass =
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute | UnixFileMode.OtherRead;
        File.SetUnixFileMode(folder.Path, everybodyMayPass);
        File.SetUnixFileMode(folder.File("passwd"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead | UnixFileMode.GroupRead);
        File.SetUnixFileMode(mail, everybodyMayPass | UnixFileMode.OtherWrite);
    }
}
