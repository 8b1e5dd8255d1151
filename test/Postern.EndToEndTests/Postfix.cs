using System.Globalization;
using Postern.TestKit;

namespace Postern.EndToEndTests;

/// <summary>
/// A real Postfix on a loopback port, in clear text, run from files in a folder of its own. Believes XCLIENT from 127.0.0.1, takes mail for
/// <c>userN@example.test</c> with N below 1000, delivers it by LMTP, and sends nothing anywhere else.
/// </summary>
internal sealed class Postfix : IAsyncDisposable
{
    private const UnixFileMode Everybody =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly TemporaryFolder _folder;
    private readonly RunningProcess _process;

    private Postfix(TemporaryFolder folder, RunningProcess process, int port)
    {
        _folder = folder;
        _process = process;
        Port = port;
    }

    public int Port { get; }

    /// <summary>What it logged so far.</summary>
    public string Log => _process.Output;

    /// <param name="lmtpPort">Where on 127.0.0.1 mail is delivered to.</param>
    /// <param name="saslSocket">Dovecot's, for AUTH.</param>
    public static async Task<Postfix> StartAsync(int lmtpPort, string saslSocket)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new InvalidOperationException("Postfix's master runs as root only: run the end-to-end tests as root.");
        }

        var folder = new TemporaryFolder();
        int port = LoopbackPorts.Next();
        string etc = Directory.CreateDirectory(folder.File("etc")).FullName;
        string spool = Directory.CreateDirectory(folder.File("spool")).FullName;
        string data = Directory.CreateDirectory(folder.File("data")).FullName;
        File.SetUnixFileMode(folder.Path, Everybody);
        File.SetUnixFileMode(etc, Everybody);
        File.SetUnixFileMode(spool, Everybody);
        (int owned, string output) = await RunningProcess.RunAsync("chown", ["postfix", data]);
        if (owned != 0)
        {
            throw new InvalidOperationException($"{output} ./test.sh installs Postfix.");
        }

        await File.WriteAllTextAsync(Path.Combine(etc, "main.cf"), $"""
            compatibility_level = 3.6
            queue_directory = {spool}
            data_directory = {data}
            maillog_file = /dev/stdout
            myhostname = mx.example.test
            mynetworks = 192.0.2.0/24
            inet_interfaces = 127.0.0.1
            inet_protocols = ipv4
            mydestination =
            alias_maps =
            local_recipient_maps =
            virtual_mailbox_domains = example.test
            virtual_mailbox_maps = regexp:{folder.Write("mailboxes", "/^user[0-9]{1,3}@example\\.test$/ yes\n")}
            virtual_transport = lmtp:inet:127.0.0.1:{lmtpPort.ToString(CultureInfo.InvariantCulture)}
            default_transport = error:there is no way out
            message_size_limit = 104857600
            mailbox_size_limit = 0
            virtual_mailbox_limit = 0
            smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
            smtpd_authorized_xclient_hosts = 127.0.0.1
            smtpd_sasl_auth_enable = yes
            smtpd_sasl_type = dovecot
            smtpd_sasl_path = {saslSocket}
            smtpd_peername_lookup = no
            disable_dns_lookups = yes

            """);
        await File.WriteAllTextAsync(Path.Combine(etc, "master.cf"), $"""
            127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)} inet n - n - - smtpd
            cleanup   unix  n - n - 0 cleanup
            qmgr      unix  n - n 300 1 qmgr
            rewrite   unix  - - n - - trivial-rewrite
            bounce    unix  - - n - 0 bounce
            defer     unix  - - n - 0 bounce
            trace     unix  - - n - 0 bounce
            error     unix  - - n - - error
            retry     unix  - - n - - error
            lmtp      unix  - - n - - lmtp
            anvil     unix  - - n - 1 anvil
            postlog   unix-dgram n - n - 1 postlogd

            """);
        RunningProcess process = RunningProcess.Start("/usr/sbin/postfix", ["-c", etc, "start-fg"], folder.Path);
        try
        {
            await process.WaitForListenAsync(port);
            return new Postfix(folder, process, port);
        }
        catch
        {
            await StopAsync(folder, process);
            folder.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(_folder, _process);
        _folder.Dispose();
    }

    /// <summary>What was started is a script that waits for the master; the master's process id is in its own folder.</summary>
    private static async Task StopAsync(TemporaryFolder folder, RunningProcess process)
    {
        _ = await RunningProcess.RunAsync("/usr/sbin/postfix", ["-c", folder.File("etc"), "stop"]);
        await process.DisposeAsync();
    }
}
