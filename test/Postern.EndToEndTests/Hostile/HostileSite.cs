using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using Postern.TestKit;
using Postern.TestKit.Hostile;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>How a peer ends what it was saying.</summary>
internal enum PeerEnd
{
    Close,
    Reset,
    Stall,
}

/// <summary>What auth server and backend do when a certain login comes.</summary>
/// <param name="AuthReply">All that the auth server says; BACKEND in it is the backend's port.</param>
/// <param name="AuthEnd">What it does then.</param>
/// <param name="BackendReplies">What the backend says, each after a command; null = nobody listens.</param>
/// <param name="BackendEnd">What it does then.</param>
internal sealed record Play(string AuthReply, PeerEnd AuthEnd = PeerEnd.Close, IReadOnlyList<string>? BackendReplies = null, PeerEnd BackendEnd = PeerEnd.Close)
{
    public const string Accept = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: BACKEND\r\n\r\n";

    /// <summary>Time between two bytes; none = all at once.</summary>
    public TimeSpan Drip { get; init; }
}

/// <summary>
/// One of the two programs, for cases that both are put through: ports for all protocols, once with time and once without, an auth server
/// and backends that play what each case has them play.
/// </summary>
internal sealed class HostileSite : IAsyncDisposable
{
    /// <summary><c>timeout</c> and <c>auth_http_timeout</c> of the ports without time, in seconds.</summary>
    public const int ShortSeconds = 2;

    private static readonly string[] _protocols = ["imap", "pop3", "smtp"];

    private readonly TemporaryFolder _folder = new();
    private readonly ScriptedListener _auth = ScriptedListener.OnLoopback("auth server");
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _release = new();
    private readonly Dictionary<string, (int Patient, int Short, int Tls, int ShortTls)> _ports;
    private readonly ConcurrentDictionary<string, (Play Play, int BackendPort)> _plays = new();
    private readonly ConcurrentBag<Task> _work = [];
    private ProgramUnderTest? _program;
    private TimeSpan _limit;
    private int _cases;
    private int _descriptors;

    private HostileSite(MailProxy proxy)
    {
        Proxy = proxy;
        _ports = _protocols.ToDictionary(protocol => protocol, _ => (LoopbackPorts.Next(), LoopbackPorts.Next(), LoopbackPorts.Next(), LoopbackPorts.Next()));
    }

    public static TheoryData<MailProxy> Proxies => [MailProxy.Postern, MailProxy.Nginx];

    public static IReadOnlyList<string> Protocols => _protocols;

    public MailProxy Proxy { get; }

    public ProgramUnderTest Program => _program!;

    /// <summary>What the auth server does for logins that belong to no play: it refuses, unless told otherwise.</summary>
    public Play Otherwise { get; set; } = new("HTTP/1.0 200 OK\r\nAuth-Status: no\r\n\r\n");

    /// <summary>What the auth server was asked, as it came.</summary>
    public ConcurrentQueue<string> Requests { get; } = [];

    /// <param name="proxy">Which program.</param>
    /// <param name="mail">More directives of the mail block.</param>
    /// <param name="servers">More server blocks.</param>
    /// <param name="logLevel">What the log is to have.</param>
    /// <param name="under">A program that runs this one, see <see cref="ProgramUnderTest"/>.</param>
    /// <param name="limit">How long it may take to start, and to answer.</param>
    /// <param name="loops"><c>worker_processes</c>; nginx, without a master, has one at any rate.</param>
    public static async Task<HostileSite> StartAsync(MailProxy proxy, string mail = "", string servers = "", string logLevel = "info", IReadOnlyList<string>? under = null, TimeSpan? limit = null, int loops = 1)
    {
        var site = new HostileSite(proxy) { _limit = limit ?? TimeSpan.FromSeconds(20) };
        try
        {
            TestCertificate certificate = TestCertificate.WriteEcdsa(site._folder);
            string block = string.Concat(site._ports.Select(pair =>
                $$"""
                server { listen 127.0.0.1:{{pair.Value.Patient}}; protocol {{pair.Key}}; starttls on; }
                server { listen 127.0.0.1:{{pair.Value.Short}}; protocol {{pair.Key}}; timeout {{ShortSeconds}}s; auth_http_timeout {{ShortSeconds}}s; }
                server { listen 127.0.0.1:{{pair.Value.Tls}} ssl; protocol {{pair.Key}}; }
                server { listen 127.0.0.1:{{pair.Value.ShortTls}} ssl; protocol {{pair.Key}}; timeout {{ShortSeconds}}s; auth_http_timeout {{ShortSeconds}}s; }

                """));
            site._program = await ProgramUnderTest.StartAsync(
                proxy,
                site._folder,
                $$"""
                mail {
                    server_name mx.example.test;
                    auth_http 127.0.0.1:{{site._auth.Port}}/;
                    imap_auth plain login cram-md5 external;
                    pop3_auth plain apop cram-md5 external;
                    smtp_auth plain login cram-md5 external;
                    ssl_certificate {{certificate.CertificateFile}};
                    ssl_certificate_key {{certificate.KeyFile}};
                    ssl_protocols TLSv1.2 TLSv1.3;
                    {{mail}}
                    {{block}}
                    {{servers}}
                }
                """,
                site.Port("smtp"),
                workerConnections: 8192,
                logLevel,
                under,
                limit,
                loops: loops);
            site.Keep(site.AcceptAsync(site._auth, site.ServeAuthAsync));
            await using (ScriptedConnection first = await site.ConnectAsync("imap"))
            {
                first.Close();
            }

            site._descriptors = await site.SettledDescriptorsAsync();
            return site;
        }
        catch
        {
            await site.DisposeAsync();
            throw;
        }
    }

    public int Port(string protocol, bool hurried = false) => hurried ? _ports[protocol].Short : _ports[protocol].Patient;

    public int TlsPort(string protocol, bool hurried = false) => hurried ? _ports[protocol].ShortTls : _ports[protocol].Tls;

    /// <summary>A client that has been greeted.</summary>
    public async Task<ScriptedConnection> ConnectAsync(string protocol, bool hurried = false, bool tls = false)
    {
        ScriptedConnection client = await ScriptedConnection.ConnectAsync(
            tls ? TlsPort(protocol, hurried) : Port(protocol, hurried), _limit);
        if (tls)
        {
            await client.StartTlsAsync();
        }

        Assert.StartsWith(Dialect.Of(protocol).Greeting, await client.ReadLineAsync(), StringComparison.Ordinal);
        return client;
    }

    /// <summary>Says line by line, waiting for a reply to each but the last (nginx does not take them together, Q-02 and Q-03).</summary>
    public static async Task SayAsync(ScriptedConnection client, string commands)
    {
        string[] lines = commands.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < lines.Length; i++)
        {
            await client.WriteAsync(lines[i] + "\n");
            if (i < lines.Length - 1)
            {
                _ = await client.ReadLineAsync();
            }
        }
    }

    /// <summary>Gets ready for a play.</summary>
    /// <returns>The login it belongs to, and the backend, if it has one, for the caller to end.</returns>
    public (string Login, ScriptedListener? Backend) Prepare(Play play)
    {
        string login = string.Create(CultureInfo.InvariantCulture, $"case{Interlocked.Increment(ref _cases)}");
        ScriptedListener? backend = play.BackendReplies is null ? null : ScriptedListener.OnLoopback("backend");
        _plays[login] = (play, backend?.Port ?? 0);
        if (backend is not null)
        {
            Keep(AcceptAsync(backend, connection => ServeBackendAsync(connection, play)));
        }

        return (login, backend);
    }

    /// <summary>A client signs in, and auth server and backend do what the play says.</summary>
    /// <returns>What the client hears from then on, in the words of the table.</returns>
    public async Task<string> SignInAsync(Dialect dialect, Play play)
    {
        (string login, ScriptedListener? backend) = Prepare(play);
        await using ScriptedListener? listening = backend;
        await using ScriptedConnection client = await ConnectAsync(dialect.Protocol, hurried: true);
        await SayAsync(client, dialect.SignInAs(login, "pass"));
        string heard = await client.ReadToEndAsync();
        return heard == dialect.InternalError ? "internal error"
            : heard.StartsWith(dialect.Joined, StringComparison.Ordinal) ? "joined"
            : heard.StartsWith(dialect.RefusedStart, StringComparison.Ordinal) ? "refused"
            : heard.Length == 0 ? "closed without a word"
            : "other: " + Text.Show(heard.Length > 60 ? heard[..60] : heard);
    }

    /// <summary>Goes through cases, some at a time.</summary>
    public static Task EachAsync<T>(IEnumerable<T> cases, Func<T, Task> run, int atOnce = 32) =>
        Parallel.ForEachAsync(cases, new ParallelOptions { MaxDegreeOfParallelism = atOnce }, async (one, _) => await run(one));

    /// <summary>Peers that stall close instead.</summary>
    public Task ReleaseAsync() => _release.CancelAsync();

    /// <summary>It lives, and has no more descriptors than it had before anybody came.</summary>
    public async Task AssertNothingLeftAsync()
    {
        await Deadline.UntilAsync(
            () => Program.HasExited || ProcessMemory.DescriptorsOf(Program.ProcessId) <= _descriptors,
            () => $"{ProcessMemory.DescriptorsOf(Program.ProcessId)} descriptors, {_descriptors} at the start");
        Assert.False(Program.HasExited, Program.Log);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await ReleaseAsync();
        if (_program is not null)
        {
            await _program.DisposeAsync();
        }

        await _auth.DisposeAsync();
        await Task.WhenAll(_work);
        _stop.Dispose();
        _release.Dispose();
        _folder.Dispose();
    }

    private void Keep(Task work) => _work.Add(work);

    /// <summary>The number is not that of the first client's connection any more.</summary>
    private async Task<int> SettledDescriptorsAsync()
    {
        int before = -1;
        int now = ProcessMemory.DescriptorsOf(Program.ProcessId);
        await Deadline.UntilAsync(
            () =>
            {
                (before, now) = (now, ProcessMemory.DescriptorsOf(Program.ProcessId));
                return before == now && Directory.GetFileSystemEntries($"/proc/{Program.ProcessId}/fd").Length == now;
            },
            () => "descriptors come and go");
        return now;
    }

    private async Task AcceptAsync(ScriptedListener listener, Func<ScriptedConnection, Task> serve)
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                Keep(GuardAsync(await listener.AcceptAsync(TimeSpan.FromMinutes(10)), serve));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or TimeoutException)
        {
            // Closed, with its case or with the site.
        }
    }

    private static async Task GuardAsync(ScriptedConnection connection, Func<ScriptedConnection, Task> serve)
    {
        try
        {
            await using (connection)
            {
                await serve(connection);
            }
        }
        catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException or TimeoutException or OperationCanceledException)
        {
            // The proxy was faster.
        }
    }

    private async Task ServeAuthAsync(ScriptedConnection connection)
    {
        const string User = "Auth-User: ";
        string request = "";
        while (!request.EndsWith("\r\n\r\n", StringComparison.Ordinal) && await connection.ReadLineAsync() is { } line)
        {
            request += line;
        }

        Requests.Enqueue(request);
        string login = request.Split("\r\n").FirstOrDefault(line => line.StartsWith(User, StringComparison.Ordinal))?[User.Length..] ?? "";
        (Play play, int backend) = _plays.TryGetValue(login, out var known)
            ? known
            : (Otherwise, 0);
        await SpeakAsync(connection, play.AuthReply.Replace("BACKEND", backend.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal), play.Drip);
        await EndAsync(connection, play.AuthEnd);
    }

    private async Task ServeBackendAsync(ScriptedConnection connection, Play play)
    {
        for (int i = 0; i < play.BackendReplies!.Count; i++)
        {
            if (i > 0)
            {
                await ReadCommandAsync(connection);
            }

            await SpeakAsync(connection, play.BackendReplies[i], play.Drip);
        }

        await EndAsync(connection, play.BackendEnd);
    }

    /// <summary>One command, with all of its literals.</summary>
    private static async Task ReadCommandAsync(ScriptedConnection connection)
    {
        while ((await connection.ReadLineAsync())?.TrimEnd().EndsWith('}') ?? false)
        {
            await connection.WriteAsync("+ go on\r\n");
        }
    }

    private async Task SpeakAsync(ScriptedConnection connection, string text, TimeSpan drip)
    {
        if (drip == TimeSpan.Zero)
        {
            await connection.WriteAsync(text);
            return;
        }

        foreach (char ch in text)
        {
            await connection.WriteAsync(ch.ToString());
            await Task.Delay(drip, _stop.Token);
        }
    }

    private async Task EndAsync(ScriptedConnection connection, PeerEnd end)
    {
        switch (end)
        {
            case PeerEnd.Reset:
                connection.Reset();
                break;
            case PeerEnd.Stall:
                // Until the proxy goes, or the test has had enough.
                await connection.ReadToEndAsync().WaitAsync(_release.Token);
                break;
            default:
                break;
        }
    }
}
