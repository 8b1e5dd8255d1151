using Postern.Demo;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>
/// Auth servers of the kind people run: each frames its answers in its own way, keeps connections or closes them. Twenty
/// logins in a row show that what is left of one answer never disturbs the next.
/// </summary>
public sealed class AuthServerTests
{
    private const int Logins = 20;

    public static TheoryData<string, string> Python => new()
    {
        { "http.server, HTTP/1.0", Simple("HTTP/1.0", "self.send_header('Content-Length', '5')", "self.wfile.write(b'body\\n')") },
        { "http.server, HTTP/1.1", Simple("HTTP/1.1", "self.send_header('Content-Length', '5')", "self.wfile.write(b'body\\n')") },
        { "http.server, HTTP/1.1 without length", Simple("HTTP/1.1", "self.close_connection = True", "self.wfile.write(b'body\\n')") },
        {
            "http.server, HTTP/1.1 in chunks",
            Simple("HTTP/1.1", "self.send_header('Transfer-Encoding', 'chunked')", "self.wfile.write(b'5\\r\\nbody\\n\\r\\n0\\r\\n\\r\\n')")
        },
        { "wsgiref, threaded", Wsgi },
    };

    private static string Wsgi => """
        import socketserver, sys
        from wsgiref.simple_server import make_server, WSGIServer, WSGIRequestHandler

        class Threaded(socketserver.ThreadingMixIn, WSGIServer):
            daemon_threads = True

        class Quiet(WSGIRequestHandler):
            def log_message(self, *args):
                pass

        def app(environ, start):
            good = environ.get('HTTP_AUTH_PASS') == 'wonderland'
            headers = [('Auth-Status', 'OK'), ('Auth-Server', '127.0.0.1'), ('Auth-Port', sys.argv[2])] if good else [('Auth-Status', 'no')]
            start('200 OK', headers + [('Content-Length', '5')])
            return [b'body\n']

        make_server('127.0.0.1', int(sys.argv[1]), app, Threaded, Quiet).serve_forever()
        """;

    [Theory]
    [MemberData(nameof(Python))]
    public async Task Logins_PythonsServers_AllSucceed(string name, string script)
    {
        using TemporaryFolder folder = new();
        int port = LoopbackPorts.Next();
        await using DemoServers servers = DemoServers.Start();
        await using RunningProcess auth = RunningProcess.Start(
            "python3", [folder.Write("auth.py", script), $"{port}", $"{servers.Imap.EndPoint.Port}"]);
        await auth.WaitForListenAsync(port);
        await using ProxyPorts proxy = await ProxyPorts.StartAsync($"http://127.0.0.1:{port}/auth");

        await LogInAsync(proxy, name);
    }

    [Fact]
    public async Task Logins_NginxAsAuthServer_AllSucceed()
    {
        using TemporaryFolder folder = new();
        int port = LoopbackPorts.Next();
        await using DemoServers servers = DemoServers.Start();
        string configuration = folder.Write("nginx.conf", $$"""
            daemon off;
            master_process off;
            pid {{folder.File("nginx.pid")}};
            error_log stderr;
            events { }
            http {
                access_log off;
                server {
                    listen 127.0.0.1:{{port}};
                    location /auth {
                        if ($http_auth_pass != wonderland) { add_header Auth-Status no; return 200; }
                        add_header Auth-Status OK;
                        add_header Auth-Server 127.0.0.1;
                        add_header Auth-Port {{servers.Imap.EndPoint.Port}};
                        return 200 "a body\n";
                    }
                }
            }
            """);
        await using RunningProcess auth = RunningProcess.Start(
            ProgramUnderTest.ExecutableOf(MailProxy.Nginx), ["-p", folder.Path, "-c", configuration], folder.Path);
        await auth.WaitForListenAsync(port);
        await using ProxyPorts proxy = await ProxyPorts.StartAsync($"http://127.0.0.1:{port}/auth");

        await LogInAsync(proxy, "nginx");
        Assert.DoesNotContain("auth http server", proxy.Program.Log, StringComparison.Ordinal);
    }

    private static async Task LogInAsync(ProxyPorts proxy, string name)
    {
        for (int i = 0; i < Logins; i++)
        {
            await using Session session = await Session.OpenAsync(proxy.StartTls, tls: false, "alice", "wonderland");
            Assert.Contains("* BYE", await session.CommandAsync("LOGOUT"), StringComparison.Ordinal);
        }

        Assert.False(proxy.Program.HasExited, name);
        Assert.DoesNotContain("[error]", proxy.Program.Log, StringComparison.Ordinal);
    }

    /// <summary>An http.server that speaks the version and frames its body as told.</summary>
    private static string Simple(string version, string framing, string body) => $"""
        import sys
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        class Auth(BaseHTTPRequestHandler):
            protocol_version = '{version}'

            def do_GET(self):
                self.send_response(200)
                if self.headers['Auth-Pass'] == 'wonderland':
                    self.send_header('Auth-Status', 'OK')
                    self.send_header('Auth-Server', '127.0.0.1')
                    self.send_header('Auth-Port', sys.argv[2])
                else:
                    self.send_header('Auth-Status', 'no')
                {framing}
                self.end_headers()
                {body}

            def log_message(self, *args):
                pass

        ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Auth).serve_forever()
        """;
}
