using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.TestKit;
using Postern.TestKit.Hostile;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>
/// No input makes the work grow faster than its size: for every reader of bytes from outside, and for shapes that are dear to careless
/// parsers, twice the bytes cost at most little more than twice the instructions.
/// </summary>
public sealed class LinearWorkTests
{
    /// <summary>What is linear doubles; what is quadratic quadruples. In between is room for wake-ups that come together or do not.</summary>
    private const double MaxRatio = 2.6;

    /// <summary>
    /// Instructions that come or go with collections, wake-ups and timers, whatever is read. What is quadratic in thousands of bytes costs
    /// hundreds of millions.
    /// </summary>
    private const long Noise = 4_000_000;

    /// <summary>Fewer instructions than this have no ratio worth printing.</summary>
    private const long Negligible = 500_000;

    /// <summary>Bytes of a buffer in the program, so that what fits into one may be large, too.</summary>
    private const int BufferBytes = 64 * 1024;

    private const string Ended = "\r\n";

    /// <summary>
    /// What a client says: the protocol, a name, bytes of the smaller of the two sizes, and the input of a size.
    /// Pieces are not among the shapes: how many of them come together is the scheduler's whim, and a wake-up costs more than what it brings.
    /// </summary>
    private static readonly (string Port, string Name, int Bytes, Func<int, string> Input)[] _clients =
    [
        ("imap", "many short commands", 64_000, size => Repeat("a NOOP\r\n", size)),
        ("imap", "bytes without end", 24_000, size => new string('x', size)),
        ("imap", "many arguments", 24_000, size => "a NOOP" + Repeat(" x", size) + Ended),
        ("imap", "parentheses", 24_000, size => "a NOOP " + new string('(', size) + Ended),
        ("imap", "backslashes", 24_000, size => "a NOOP \"" + Repeat("\\\\", size) + "\"" + Ended),
        ("imap", "braces", 24_000, size => "a NOOP " + new string('{', size) + Ended),
        ("imap", "one literal", 24_000, size => $"a NOOP {{{size}+}}\r\n{new string('x', size)}{Ended}"),
        ("imap", "SASL again and again", 24_000, size => Repeat("a AUTHENTICATE PLAIN\r\n*\r\n", size)),
        ("imap", "a long SASL response", 24_000, size => "a AUTHENTICATE PLAIN\r\n" + new string('A', size / 4 * 4) + Ended),
        ("imap", "a login of bytes to be escaped", 24_000, size => $"a LOGIN {{{size + 1}+}}\r\n{new string('%', size + 1)} p{Ended}"),
        ("pop3", "many short commands", 64_000, size => Repeat("NOOP\r\n", size)),
        ("pop3", "many long lines", 64_000, size => Repeat(new string('x', 100) + "\r\n", size)),
        ("smtp", "many greetings", 64_000, size => Repeat("EHLO x\r\n", size)),
        ("smtp", "bytes without end", 24_000, size => new string('x', size)),
        ("proxy", "a PROXY header with many TLVs", 24_000, size => ProxyHeader(size)),
    ];

    /// <summary>Relatives of those, for <c>POSTERN_LINEAR=all</c>.</summary>
    private static readonly (string Port, string Name, int Bytes, Func<int, string> Input)[] _moreClients =
    [
        ("imap", "many empty lines", 32_000, size => Repeat("\r\n", size)),
        ("imap", "many unknown commands", 32_000, size => Repeat("a x\r\n", size)),
        ("imap", "a long argument", 24_000, size => "a NOOP " + new string('x', size) + Ended),
        ("imap", "spaces", 24_000, size => "a NOOP" + new string(' ', size) + Ended),
        ("imap", "quotes", 24_000, size => "a NOOP " + Repeat("\"\" ", size) + Ended),
        ("imap", "one quoted string", 24_000, size => "a NOOP \"" + Repeat("x ", size) + "\"" + Ended),
        ("imap", "a long number of a literal", 24_000, size => "a NOOP {" + new string('1', size) + "}" + Ended),
        ("imap", "many literals", 24_000, size => Repeat("a NOOP {1+}\r\nx\r\n", size)),
        ("imap", "many literals in one command", 24_000, size => "a NOOP" + Repeat(" {1+}\r\nx", size) + Ended),
        ("pop3", "many capabilities asked for", 64_000, size => Repeat("CAPA\r\n", size)),
        ("pop3", "SASL again and again", 24_000, size => Repeat("AUTH LOGIN\r\n*\r\n", size)),
        ("smtp", "many short commands", 64_000, size => Repeat("NOOP\r\n", size)),
        ("smtp", "a long name", 24_000, size => "HELO " + new string('x', size) + Ended),
        ("smtp", "carriage returns", 24_000, size => "NOOP" + new string('\r', size) + Ended),
        ("smtp", "mail without sign-in, again and again", 32_000, size => Repeat("MAIL FROM:<a>\r\nRSET\r\n", size)),
    ];

    /// <summary>What an auth server answers; 1024 bytes is all that is read.</summary>
    private static readonly (string Name, int Bytes, Func<int, string> Reply)[] _authServers =
    [
        ("many header lines", 450, size => "HTTP/1.0 200 OK\r\n" + Repeat("a:b\r\n", size) + Ended),
        ("a long header line", 450, size => "HTTP/1.0 200 OK\r\na: " + new string('x', size) + "\r\n\r\n"),
    ];

    /// <summary>What a backend says at first, before it closes.</summary>
    private static readonly (string Name, int Bytes, Func<int, string> Reply)[] _backends =
    [
        ("a long line", 24_000, size => "* OK " + new string('x', size) + Ended),
        ("many lines", 24_000, size => Repeat("* OK x\r\n", size)),
        ("no line end", 24_000, size => "* OK " + new string('x', size)),
    ];

    private static readonly (string Name, int Count, Func<int, string> Text)[] _configurations =
    [
        ("many servers", 200, count => Mail(Each(count, i => $"server {{ listen 127.0.0.1:{20_000 + i}; protocol imap; }}\n"))),
        ("many header lines and comments", 1000, count => Mail(Each(count, i => $"# {new string('x', 80)}\nauth_http_header X-{i} \"{new string('y', 80)}\";\n"))),
        ("many capabilities", 4000, count => Mail("imap_capabilities x" + Each(count, i => $" C{i}") + ";\n")),
        ("many errors", 1000, count => Mail(Each(count, i => $"nothing{i} x;\n"))),
    ];

    private static readonly string[] _ports = ["imap", "pop3", "smtp", "proxy", "dns"];

    private volatile string _authReply = Refusal;
    private volatile string? _backendReply;

    private const string Refusal = "HTTP/1.0 200 OK\r\nAuth-Status: no\r\n\r\n";

    [Fact]
    public async Task Connections_TwiceTheBytes_TwiceTheInstructions()
    {
        await using ScriptedListener auth = ScriptedListener.OnLoopback("auth server");
        await using ScriptedListener backend = ScriptedListener.OnLoopback("backend");
        using var dns = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        dns.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Dictionary<string, int> ports = _ports.ToDictionary(name => name, _ => LoopbackPorts.Next());
        await using CountedPostern postern = await CountedPostern.StartAsync(
            $$"""
            mail {
                server_name mx.example.test;
                auth_http 127.0.0.1:{{auth.Port}}/;
                timeout 600s; auth_http_timeout 600s;
                max_errors 1000000000;
                imap_client_buffer {{BufferBytes}}; smtp_client_buffer {{BufferBytes}}; proxy_buffer {{BufferBytes}};
                imap_auth plain login; pop3_auth plain; smtp_auth plain none;
                server { listen 127.0.0.1:{{ports["imap"]}}; protocol imap; }
                server { listen 127.0.0.1:{{ports["pop3"]}}; protocol pop3; }
                server { listen 127.0.0.1:{{ports["smtp"]}}; protocol smtp; }
                server { listen 127.0.0.1:{{ports["proxy"]}} proxy_protocol; protocol imap; }
                server { listen 127.0.0.1:{{ports["dns"]}}; protocol smtp; resolver 127.0.0.1:{{((IPEndPoint)dns.LocalEndPoint!).Port}}; }
            }
            """,
            ports["smtp"]);
        using var stop = new CancellationTokenSource();
        int records = 0;
        Task[] peers =
        [
            ServeAsync(auth, AnswerAsync), ServeAsync(backend, PlayBackendAsync),
            HostileAnswers.ServeAsync(dns, query => HostileAnswers.ManyNames(query, Volatile.Read(ref records)), stop.Token),
        ];
        var figures = new Figures();
        Dictionary<string, long> nothing = [];
        foreach ((string port, string name, int bytes, Func<int, string> input) in Environment.GetEnvironmentVariable("POSTERN_LINEAR") == "all" ? [.. _clients, .. _moreClients] : _clients)
        {
            if (!nothing.TryGetValue(port, out long around))
            {
                _ = await CountClientAsync(postern, ports[port], port != "proxy", input(0));
                nothing[port] = around = await CountClientAsync(postern, ports[port], port != "proxy", input(0));
            }

            await figures.CompareAsync($"{port}: {name}", bytes, size => CountClientAsync(postern, ports[port], port != "proxy", input(size)), around);
        }

        foreach ((string name, int bytes, Func<int, string> reply) in _authServers)
        {
            await figures.CompareAsync($"auth server: {name}", bytes, size =>
            {
                _authReply = reply(size);
                return CountClientAsync(postern, ports["imap"], greets: true, SignIn);
            });
        }

        _authReply = Play.Accept.Replace("BACKEND", backend.Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        await figures.CompareAsync("relay: lines there and back", 64_000, size => CountRelayAsync(postern, ports["imap"], Repeat("a FETCH 1\r\n", size)));
        foreach ((string name, int bytes, Func<int, string> reply) in _backends)
        {
            await figures.CompareAsync($"backend: {name}", bytes, size =>
            {
                _backendReply = reply(size);
                return CountClientAsync(postern, ports["imap"], greets: true, SignIn);
            });
        }

        await figures.CompareAsync("name server: many names", 50, async size =>
        {
            Volatile.Write(ref records, size);
            await using ScriptedConnection client = await ScriptedConnection.ConnectAsync(ports["dns"], _limit);
            _ = await client.ReadLineAsync();
            return await postern.CountAsync();
        });

        await auth.DisposeAsync();
        await backend.DisposeAsync();
        await stop.CancelAsync();
        await Task.WhenAll(peers);
        figures.AssertLinear(postern.Log);
    }

    [Fact]
    public async Task Configuration_TwiceTheBytes_TwiceTheInstructions()
    {
        var figures = new Figures();
        long nothing = await CountedPostern.CountTestAsync(Mail(""));
        foreach ((string name, int size, Func<int, string> text) in _configurations)
        {
            await figures.CompareAsync("configuration: " + name, size, count => CountedPostern.CountTestAsync(text(count)), nothing);
        }

        figures.AssertLinear("");
    }

    private const string SignIn = "a LOGIN user pass\r\n";

    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(60);

    /// <summary>A client says all of it and that it has no more to say, and hears all that comes back.</summary>
    private static async Task<long> CountClientAsync(CountedPostern postern, int port, bool greets, string input)
    {
        await using ScriptedConnection client = await ScriptedConnection.ConnectAsync(port, _limit);
        if (greets)
        {
            _ = await client.ReadLineAsync();
        }

        return await CountTalkAsync(postern, client, input);
    }

    private static async Task<long> CountRelayAsync(CountedPostern postern, int port, string input)
    {
        await using ScriptedConnection client = await ScriptedConnection.ConnectAsync(port, _limit);
        _ = await client.ReadLineAsync();
        await client.WriteAsync(SignIn);
        Assert.Equal("a OK in\r\n", await client.ReadLineAsync());
        _ = await postern.CountAsync();
        return await CountTalkAsync(postern, client, input);
    }

    private static async Task<long> CountTalkAsync(CountedPostern postern, ScriptedConnection client, string input)
    {
        Task<string> heard = client.ReadToEndAsync();
        try
        {
            await client.WriteAsync(input);
            if (!input.StartsWith("a LOGIN", StringComparison.Ordinal))
            {
                // Who signs in is turned away; its own end would come before that.
                await client.HalfCloseAsync();
            }
        }
        catch (IOException)
        {
            // Turned away before it had said all.
        }

        _ = await heard;
        return await postern.CountAsync();
    }

    private static async Task ServeAsync(ScriptedListener listener, Func<ScriptedConnection, Task> serve)
    {
        try
        {
            while (true)
            {
                await using ScriptedConnection connection = await listener.AcceptAsync(TimeSpan.FromMinutes(10));
                await serve(connection);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(ScriptedConnection connection)
    {
        while (await connection.ReadLineAsync() is { } line && line != Ended)
        {
        }

        await SpeakAsync(connection, _authReply);
    }

    /// <summary>A backend that says what it is to say and closes, or one that lets in and says everything back.</summary>
    private async Task PlayBackendAsync(ScriptedConnection connection)
    {
        if (_backendReply is { } reply)
        {
            await SpeakAsync(connection, reply);
            return;
        }

        await connection.WriteAsync("* OK hello\r\n");
        _ = await connection.ReadLineAsync();
        await connection.WriteAsync("a OK in\r\n");
        while (await connection.ReadSomeAsync() is { Length: > 0 } some)
        {
            await connection.WriteAsync(some);
        }
    }

    private static async Task SpeakAsync(ScriptedConnection connection, string text)
    {
        try
        {
            await connection.WriteAsync(text);
        }
        catch (IOException)
        {
            // The program has heard enough.
        }
    }

    private static string Repeat(string text, int bytes) => new StringBuilder(bytes).Insert(0, text, bytes / text.Length).ToString();

    private static string Each(int count, Func<int, string> text) => string.Concat(Enumerable.Range(0, count).Select(text));

    private static string Mail(string directives) => $"events {{ worker_connections 4096; }}\nmail {{\nauth_http 127.0.0.1:9/;\n{directives}}}\n";

    /// <summary>Version 2 with so many bytes of TLVs (of type NOOP, empty), a command behind it.</summary>
    private static string ProxyHeader(int size)
    {
        string values = Repeat("\x04\0\0", size);
        int length = 12 + values.Length;
        return "\r\n\r\n\0\r\nQUIT\n\x21\x11" + (char)(length >> 8) + (char)(length & 0xFF) + "\xC0\0\x02\x01\xC0\0\x02\x02\x10\x00\0\x8F" + values + "a NOOP\r\n";
    }

    /// <summary>Instructions at one size and two; what a connection costs that says nothing is taken off.</summary>
    private sealed class Figures
    {
        private readonly List<string> _all = [];
        private readonly List<string> _broken = [];

        /// <param name="name">Of the input.</param>
        /// <param name="size">The smaller of the two sizes.</param>
        /// <param name="count">Counts at a size.</param>
        /// <param name="nothing">What no size costs; null = it is counted.</param>
        public async Task CompareAsync(string name, int size, Func<int, Task<long>> count, long? nothing = null)
        {
            if (nothing is null)
            {
                // The first time also pays for what is made when it is first needed.
                _ = await count(0);
            }

            long around = nothing ?? await count(0);
            long once = await count(size) - around;
            long twice = await count(2 * size) - around;
            double ratio = (double)twice / once;
            string figure = string.Create(
                CultureInfo.InvariantCulture, $"| {name} | {size} | {Math.Max(0, (double)once / size):F0} | {(once > Negligible ? ratio : double.NaN):F2} |");
            _all.Add(figure.Replace("NaN", "–", StringComparison.Ordinal));
            if (twice > (MaxRatio * Math.Max(0, once)) + Noise)
            {
                _broken.Add(figure);
            }
        }

        public void AssertLinear(string log)
        {
            TestContext.Current.SendDiagnosticMessage(string.Join('\n', _all));
            Assert.True(_broken.Count == 0, $"{string.Join('\n', _broken)}\nall:\n{string.Join('\n', _all)}\n{log}");
        }
    }
}
