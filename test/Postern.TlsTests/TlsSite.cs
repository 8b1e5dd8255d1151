using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.TestKit;

namespace Postern.TlsTests;

/// <summary>A proxy with any number of servers, and an auth server that keeps the requests and refuses everybody unless told otherwise.</summary>
internal sealed class TlsSite : IAsyncDisposable
{
    private readonly ProgramUnderTest _program;
    private readonly TcpListener _auth;
    private readonly TemporaryFolder _folder;
    private readonly int[] _ports;

    private TlsSite(ProgramUnderTest program, TcpListener auth, TemporaryFolder folder, int[] ports)
    {
        (_program, _auth, _folder, _ports) = (program, auth, folder, ports);
    }

    public ConcurrentQueue<string> Requests { get; } = [];

    /// <summary>Header lines of every answer, each with its CRLF.</summary>
    public string Answer { get; set; } = "Auth-Status: no\r\n";

    public string Log => _program.Log;

    public ProgramUnderTest Program => _program;

    public int Port(int server = 0) => _ports[server];

    /// <param name="proxy">Which program.</param>
    /// <param name="files">Relative names in the directives are files of this folder.</param>
    /// <param name="servers">Directives of each server; with <c>starttls</c> among them its listener is a plain one.</param>
    public static Task<TlsSite> StartAsync(MailProxy proxy, TlsFolder files, params string[] servers) => StartAsync(proxy, files, environment: null, servers);

    /// <param name="proxy">Which program.</param>
    /// <param name="files">As above.</param>
    /// <param name="environment">More variables for the program.</param>
    /// <param name="servers">As above.</param>
    public static async Task<TlsSite> StartAsync(
        MailProxy proxy, TlsFolder files, IReadOnlyDictionary<string, string>? environment, params string[] servers)
    {
        var auth = new TcpListener(IPAddress.Loopback, 0);
        auth.Start();
        int[] ports = [.. servers.Select(_ => LoopbackPorts.Next())];
        var mail = new StringBuilder($"mail {{ auth_http 127.0.0.1:{((IPEndPoint)auth.LocalEndpoint).Port}/auth; ssl_protocols TLSv1.2 TLSv1.3;\n");
        for (int i = 0; i < servers.Length; i++)
        {
            bool plain = servers[i].Contains("starttls", StringComparison.Ordinal);
            string protocol = servers[i].Contains("protocol ", StringComparison.Ordinal) ? "" : "protocol imap;";
            string own = servers[i].Contains("ssl_certificate ", StringComparison.Ordinal) ? "" : "ssl_certificate server.pem; ssl_certificate_key server.key;";
            mail.Append(System.Globalization.CultureInfo.InvariantCulture, $"server {{ listen 127.0.0.1:{ports[i]}{(plain ? "" : " ssl")}; {protocol} {own} {servers[i]} }}\n");
        }

        mail.Append("}\n");

        // Relative names belong to the configuration's folder, which is new for each proxy.
        var folder = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(files.Path))
        {
            File.Copy(file, folder.File(Path.GetFileName(file)));
        }

        ProgramUnderTest program = await ProgramUnderTest.StartAsync(proxy, folder, mail.ToString(), ports[0], environment: environment);
        var site = new TlsSite(program, auth, folder, ports);
        _ = site.ServeAuthAsync();
        return site;
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        _auth.Stop();
        _folder.Dispose();
    }

    private async Task ServeAuthAsync()
    {
        try
        {
            while (true)
            {
                using TcpClient client = await _auth.AcceptTcpClientAsync();
                byte[] buffer = new byte[65536];
                int length = 0;
                int n;
                while (buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0 && (n = await client.GetStream().ReadAsync(buffer.AsMemory(length))) > 0)
                {
                    length += n;
                }

                Requests.Enqueue(Text.Of(buffer.AsSpan(0, length)));
                await client.GetStream().WriteAsync(Text.Bytes($"HTTP/1.0 200 OK\r\n{Answer}\r\n"));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
        {
            // Stopped with the site.
        }
    }
}
