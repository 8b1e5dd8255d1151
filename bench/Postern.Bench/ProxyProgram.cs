using System.Diagnostics;
using System.Globalization;

namespace Postern.Bench;

/// <summary>A proxy that can be measured.</summary>
/// <param name="Name">Heading of its column.</param>
/// <param name="Path">The executable.</param>
/// <param name="Preamble">Lines of configuration that only this one needs.</param>
internal sealed record ProxyProgram(string Name, string Path, string Preamble)
{
    /// <summary>What the program says it is.</summary>
    public string Version()
    {
        var start = new ProcessStartInfo(Path, "-v") { RedirectStandardError = true, RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        string text = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return text.Split('\n')[0].Replace("nginx version: ", "", StringComparison.Ordinal).Trim();
    }

    /// <summary>
    /// A copy of the program in a folder: its pages are then this run's alone, and not shared with others that run it.
    /// </summary>
    public static ProxyProgram Postern(string path, string folder) => new("postern", Copy(path, folder + "/postern"), "");

    /// <summary>A copy of an nginx, with the mail module from beside it if it is not linked in.</summary>
    public static ProxyProgram Nginx(string path, string folder)
    {
        const string Module = "/usr/lib/nginx/modules/ngx_mail_module.so";
        bool system = path.StartsWith("/usr/sbin/", StringComparison.Ordinal) && File.Exists(Module);
        return new ProxyProgram(
            "nginx", Copy(path, folder + "/nginx"), system ? $"load_module {Copy(Module, folder + "/ngx_mail_module.so")};" : "");
    }

    private static string Copy(string path, string target)
    {
        File.Copy(path, target);
        return target;
    }
}

/// <summary>The ports of one proxy.</summary>
internal sealed record ProxyPorts(int Plain, int TlsEcdsa, int TlsRsa)
{
    public static ProxyPorts Free() => new(Native.FreePort(), Native.FreePort(), Native.FreePort());
}

/// <summary>The configuration both proxies get: the same but for ports, paths and <see cref="ProxyProgram.Preamble"/>.</summary>
/// <param name="folder">Where files go.</param>
/// <param name="authPort">Of the fake auth server.</param>
/// <param name="logLevel">Of <c>error_log</c>.</param>
internal sealed class ProxyConfiguration(string folder, int authPort, string logLevel)
{
    /// <summary>nginx's default, for what is measured without load.</summary>
    public const int DefaultConnections = 512;

    /// <summary>Enough for thousands of sessions.</summary>
    public const int ManyConnections = 16384;

    /// <returns>Path of the file.</returns>
    public string Write(ProxyProgram program, ProxyPorts ports, int workerConnections)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{folder}/{program.Name}-{workerConnections}");
        string user = Environment.UserName == "root" ? "user root;" : "";
        File.WriteAllText(name + ".conf", $$"""
            {{program.Preamble}}
            {{user}}
            daemon off;
            worker_processes 2;
            pid {{name}}.pid;
            error_log {{name}}.log {{logLevel}};
            events { worker_connections {{workerConnections}}; }
            mail {
                server_name bench.example.org;
                auth_http 127.0.0.1:{{authPort}}/auth;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate {{folder}}/ecdsa.pem;
                ssl_certificate_key {{folder}}/ecdsa.key;
                server { protocol imap; listen 127.0.0.1:{{ports.Plain}}; }
                server { protocol imap; listen 127.0.0.1:{{ports.TlsEcdsa}} ssl; }
                server {
                    protocol imap;
                    listen 127.0.0.1:{{ports.TlsRsa}} ssl;
                    ssl_certificate {{folder}}/rsa.pem;
                    ssl_certificate_key {{folder}}/rsa.key;
                }
            }

            """);
        return name + ".conf";
    }
}
