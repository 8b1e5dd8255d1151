using System.Diagnostics;
using System.Globalization;

namespace Postern.Bench;

/// <summary>What a proxy listens for.</summary>
internal enum ProxyService
{
    Imap,
    ImapTls,

    /// <summary>With the RSA certificate; all others have ECDSA.</summary>
    ImapTlsRsa,

    /// <summary>Without tickets, with a session cache shared by all workers.</summary>
    ImapTlsSessionIds,
    Pop3,
    Pop3Tls,
    Smtp,
    SmtpTls,
}

/// <summary>The ports of one proxy.</summary>
internal sealed class ProxyPorts
{
    private readonly int[] _ports = [.. Enum.GetValues<ProxyService>().Select(_ => Native.FreePort())];

    public int this[ProxyService service] => _ports[(int)service];
}

/// <summary>What all proxies of a run have in common.</summary>
/// <param name="Folder">Where certificates are and configuration files go.</param>
/// <param name="Fakes">What stands behind them.</param>
/// <param name="LogLevel">Of <c>error_log</c>.</param>
internal sealed record BenchSite(string Folder, FakePorts Fakes, string LogLevel)
{
    /// <summary>nginx's default, for what is measured without load.</summary>
    public const int DefaultConnections = 512;

    /// <summary>Enough for thousands of sessions.</summary>
    public const int ManyConnections = 16384;
}

/// <summary>A proxy that can be measured.</summary>
/// <param name="name">Heading of its column.</param>
/// <param name="path">The executable.</param>
internal abstract class ProxyProgram(string name, string path)
{
    /// <summary>Start-up, idle memory and memory per session are measured with these servers only.</summary>
    protected static IReadOnlyList<ProxyService> FewServices { get; } = [ProxyService.Imap, ProxyService.ImapTls, ProxyService.ImapTlsRsa];

    public string Name => name;

    public string Path => path;

    /// <summary>What it listens for under load.</summary>
    public virtual IReadOnlyList<ProxyService> Services { get; } = Enum.GetValues<ProxyService>();

    /// <summary>Whether a client may come back to any of its processes and resume its TLS session there.</summary>
    public virtual bool Resumes => true;

    /// <summary>Option that makes it say what it is.</summary>
    protected virtual string VersionOption => "-v";

    /// <summary>What the program says it is, in a few words.</summary>
    public string Version()
    {
        var start = new ProcessStartInfo(Path, VersionOption) { RedirectStandardError = true, RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        string text = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        process.WaitForExit();
        return ShortVersion(text.Split('\n')[0].Trim());
    }

    /// <summary>Command line that keeps it in the foreground.</summary>
    public virtual IReadOnlyList<string> Arguments(string configurationFile) => ["-c", configurationFile];

    /// <param name="site">What all have in common.</param>
    /// <param name="ports">Where it listens.</param>
    /// <param name="workerConnections">Connections each worker may have.</param>
    /// <param name="all">Every service it has, or <see cref="FewServices"/>.</param>
    /// <returns>Path of the file.</returns>
    public string WriteConfiguration(BenchSite site, ProxyPorts ports, int workerConnections, bool all)
    {
        string file = string.Create(CultureInfo.InvariantCulture, $"{site.Folder}/{Name}-{site.LogLevel}-{workerConnections}-{(all ? "all" : "few")}");
        File.WriteAllText(file + ".conf", Configuration(site, ports, workerConnections, all ? Services : FewServices, file));
        return file + ".conf";
    }

    /// <param name="filePrefix">Path that begins the names of all files the program may write.</param>
    protected abstract string Configuration(
        BenchSite site, ProxyPorts ports, int workerConnections, IReadOnlyList<ProxyService> services, string filePrefix);

    protected virtual string ShortVersion(string firstLine) => firstLine;

    /// <summary>
    /// A copy of a file in a folder: its pages are then this run's alone, and not shared with others that run it.
    /// </summary>
    protected static string Copy(string path, string target)
    {
        File.Copy(path, target);
        return target;
    }
}

/// <summary>postern or nginx: the same configuration but for ports, paths and a line that loads nginx's mail module.</summary>
internal sealed class MailBlockProgram : ProxyProgram
{
    private readonly string _preamble;

    private MailBlockProgram(string name, string path, string preamble)
        : base(name, path)
    {
        _preamble = preamble;
    }

    public static MailBlockProgram Postern(string path, string folder) => new("postern", Copy(path, folder + "/postern"), "");

    /// <summary>An nginx, with the mail module from beside it if it is not linked in.</summary>
    public static MailBlockProgram Nginx(string path, string folder)
    {
        const string Module = "/usr/lib/nginx/modules/ngx_mail_module.so";
        bool system = path.StartsWith("/usr/sbin/", StringComparison.Ordinal) && File.Exists(Module);
        return new MailBlockProgram(
            "nginx", Copy(path, folder + "/nginx"), system ? $"load_module {Copy(Module, folder + "/ngx_mail_module.so")};" : "");
    }

    protected override string ShortVersion(string firstLine) => firstLine.Replace("nginx version: ", "", StringComparison.Ordinal);

    protected override string Configuration(
        BenchSite site, ProxyPorts ports, int workerConnections, IReadOnlyList<ProxyService> services, string filePrefix)
    {
        string user = Environment.UserName == "root" ? "user root;" : "";
        string servers = string.Join('\n', services.Select(service => "    " + Server(site, ports, service)));
        return $$"""
            {{_preamble}}
            {{user}}
            daemon off;
            worker_processes 2;
            pid {{filePrefix}}.pid;
            error_log {{filePrefix}}.log {{site.LogLevel}};
            events { worker_connections {{workerConnections}}; }
            mail {
                server_name bench.example.org;
                auth_http 127.0.0.1:{{site.Fakes.Auth}}/auth;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate {{site.Folder}}/ecdsa.pem;
                ssl_certificate_key {{site.Folder}}/ecdsa.key;
            {{servers}}
            }

            """;
    }

    private static string Server(BenchSite site, ProxyPorts ports, ProxyService service)
    {
        string listen = $"listen 127.0.0.1:{ports[service]}";
        return service switch
        {
            ProxyService.Imap => $$"""server { protocol imap; {{listen}}; }""",
            ProxyService.ImapTls => $$"""server { protocol imap; {{listen}} ssl; }""",
            ProxyService.ImapTlsRsa =>
                $$"""server { protocol imap; {{listen}} ssl; ssl_certificate {{site.Folder}}/rsa.pem; ssl_certificate_key {{site.Folder}}/rsa.key; }""",
            ProxyService.ImapTlsSessionIds =>
                $$"""server { protocol imap; {{listen}} ssl; ssl_session_tickets off; ssl_session_cache shared:bench:1m; }""",
            ProxyService.Pop3 => $$"""server { protocol pop3; {{listen}}; }""",
            ProxyService.Pop3Tls => $$"""server { protocol pop3; {{listen}} ssl; }""",
            ProxyService.Smtp => $$"""server { protocol smtp; {{listen}}; }""",
            _ => $$"""server { protocol smtp; {{listen}} ssl; }""",
        };
    }
}

/// <summary>
/// HAProxy in TCP mode: it ends TLS and joins the client to the backend, which does the login itself. No user is looked up
/// and no mail protocol is spoken: the least that any proxy can do.
/// </summary>
internal sealed class HaProxyProgram(string path, string folder) : ProxyProgram("haproxy", Copy(path, folder + "/haproxy"))
{
    public override IReadOnlyList<string> Arguments(string configurationFile) => ["-db", "-f", configurationFile];

    protected override string ShortVersion(string firstLine) => string.Join(' ', firstLine.Split(' ').Take(3)).Replace(" version", "", StringComparison.Ordinal);

    protected override string Configuration(
        BenchSite site, ProxyPorts ports, int workerConnections, IReadOnlyList<ProxyService> services, string filePrefix)
    {
        string folder = site.Folder;
        foreach (string kind in (string[])["ecdsa", "rsa"])
        {
            File.WriteAllText($"{folder}/haproxy-{kind}.pem", File.ReadAllText($"{folder}/{kind}.pem") + File.ReadAllText($"{folder}/{kind}.key"));
        }

        return $"""
            global
                nbthread 2
                maxconn {workerConnections / 2}
                ssl-default-bind-options ssl-min-ver TLSv1.2
            defaults
                mode tcp
                timeout connect 60s
                timeout client 24h
                timeout server 24h
            {string.Join('\n', services.Select(service => Frontend(site, ports, service)))}
            backend imap
                server fake 127.0.0.1:{site.Fakes.Imap}
            backend pop3
                server fake 127.0.0.1:{site.Fakes.Pop3}
            backend smtp
                server fake 127.0.0.1:{site.Fakes.Smtp}

            """;
    }

    private static string Frontend(BenchSite site, ProxyPorts ports, ProxyService service)
    {
        string backend = service switch
        {
            ProxyService.Pop3 or ProxyService.Pop3Tls => "pop3",
            ProxyService.Smtp or ProxyService.SmtpTls => "smtp",
            _ => "imap",
        };
        string tls = service switch
        {
            ProxyService.Imap or ProxyService.Pop3 or ProxyService.Smtp => "",
            ProxyService.ImapTlsRsa => $" ssl crt {site.Folder}/haproxy-rsa.pem",
            ProxyService.ImapTlsSessionIds => $" ssl crt {site.Folder}/haproxy-ecdsa.pem no-tls-tickets",
            _ => $" ssl crt {site.Folder}/haproxy-ecdsa.pem",
        };
        return $"frontend {service}\n    bind 127.0.0.1:{ports[service]}{tls}\n    default_backend {backend}";
    }
}

/// <summary>
/// Dovecot as an IMAP login proxy in its high-performance mode (long-lived login processes, two of them). It looks users up
/// itself: no auth server is asked.
/// </summary>
internal sealed class DovecotProgram(string path) : ProxyProgram("dovecot", path)
{
    public override IReadOnlyList<ProxyService> Services { get; } = [ProxyService.Imap, ProxyService.ImapTls];

    /// <summary>Each login process has ticket keys of its own.</summary>
    public override bool Resumes => false;

    protected override string VersionOption => "--version";

    public override IReadOnlyList<string> Arguments(string configurationFile) => ["-F", "-c", configurationFile];

    protected override string ShortVersion(string firstLine) => "Dovecot " + firstLine.Split(' ')[0];

    protected override string Configuration(
        BenchSite site, ProxyPorts ports, int workerConnections, IReadOnlyList<ProxyService> services, string filePrefix)
    {
        // It refuses to give its processes the rights of root; without root they can be nobody but us.
        string users = Environment.IsPrivilegedProcess
            ? ""
            : $"""
              default_internal_user = {Environment.UserName}
              default_login_user = {Environment.UserName}
              default_internal_group = {Environment.UserName}
              """;

        // Login processes run as another user.
        const UnixFileMode OthersMayPass = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        File.SetUnixFileMode(site.Folder, OthersMayPass);
        return $$"""
            base_dir = {{filePrefix}}.run
            state_dir = {{filePrefix}}.run
            log_path = {{filePrefix}}.log
            info_log_path = /dev/null
            {{users}}
            protocols = imap
            listen = 127.0.0.1
            ssl = yes
            ssl_cert = <{{site.Folder}}/ecdsa.pem
            ssl_key = <{{site.Folder}}/ecdsa.key
            ssl_min_protocol = TLSv1.2
            disable_plaintext_auth = no
            auth_mechanisms = plain
            default_client_limit = {{workerConnections}}
            default_vsz_limit = 0
            passdb {
              driver = static
              args = proxy=y host=127.0.0.1 port={{site.Fakes.Imap}} nopassword=y
            }
            service imap-login {
              chroot =
              service_count = 0
              process_min_avail = 2
              process_limit = 2
              client_limit = {{workerConnections / 4}}
              inet_listener imap {
                port = {{ports[ProxyService.Imap]}}
              }
              inet_listener imaps {
                port = {{ports[ProxyService.ImapTls]}}
                ssl = yes
              }
            }
            service anvil {
              chroot =
            }

            """;
    }
}
