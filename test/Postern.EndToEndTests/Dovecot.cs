using System.Globalization;
using System.Net;
using Postern.TestKit;

namespace Postern.EndToEndTests;

/// <summary>
/// A real Dovecot on a loopback port, in clear text, run from files in a folder of its own. Every user exists, with the password
/// <see cref="Password"/>.
/// </summary>
internal sealed class Dovecot : IAsyncDisposable
{
    public const string Password = "s3cret \"word\"";

    private readonly TemporaryFolder _folder;
    private readonly RunningProcess _process;

    private Dovecot(TemporaryFolder folder, RunningProcess process, int port)
    {
        _folder = folder;
        _process = process;
        EndPoint = new IPEndPoint(IPAddress.Loopback, port);
    }

    public IPEndPoint EndPoint { get; }

    public static async Task<Dovecot> StartAsync()
    {
        var folder = new TemporaryFolder();
        int port = LoopbackPorts.Next();
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
            protocols = imap
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
        }
        catch (Exception e)
        {
            string log = File.Exists(folder.File("dovecot.log")) ? await File.ReadAllTextAsync(folder.File("dovecot.log")) : "";
            await process.DisposeAsync();
            folder.Dispose();
            throw new InvalidOperationException($"{e.Message}\n{log}", e);
        }

        return new Dovecot(folder, process, port);
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private static void OpenToMailUser(TemporaryFolder folder, string mail)
    {
        const UnixFileMode everybodyMayPass =
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute | UnixFileMode.OtherRead;
        File.SetUnixFileMode(folder.Path, everybodyMayPass);
        File.SetUnixFileMode(folder.File("passwd"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead | UnixFileMode.GroupRead);
        File.SetUnixFileMode(mail, everybodyMayPass | UnixFileMode.OtherWrite);
    }
}
