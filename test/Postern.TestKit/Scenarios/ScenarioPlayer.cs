using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Authentication;
using System.Text.RegularExpressions;
using Postern.TestKit.Scripted;

namespace Postern.TestKit.Scenarios;

/// <summary>
/// Plays one scenario against one program: starts it with a configuration of its own, is its client, its auth server and
/// its upstream, and fails at the first line that goes another way.
/// </summary>
public sealed class ScenarioPlayer : IAsyncDisposable
{
    private readonly Scenario _scenario;
    private readonly MailProxy _proxy;

    /// <summary>Whose lines it plays.</summary>
    private readonly MailProxy _part;
    private readonly TimeSpan _limit;
    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, string> _values = [];
    private readonly List<ScenarioStep> _logChecks = [];
    private ProgramUnderTest? _program;
    private ScriptedDns? _dns;
    private ScriptedListener? _authListener;
    private ScriptedListener? _upstreamListener;
    private ScriptedConnection? _client;
    private ScriptedConnection? _auth;
    private ScriptedConnection? _upstream;
    private bool _clientDone;
    private long _clock = Stopwatch.GetTimestamp();

    private ScenarioPlayer(Scenario scenario, MailProxy proxy, TimeSpan limit)
    {
        _limit = limit;
        _scenario = scenario;
        _proxy = proxy;
        _part = proxy == MailProxy.Nginx && scenario.NginxAgreesSince is { } since && since <= ProgramUnderTest.NginxVersion ? MailProxy.Postern : proxy;
    }

    private ScriptedConnection Auth => _auth ?? throw new InvalidOperationException("No auth request yet.");

    /// <summary>Plays the scenario to its end; each step may take as long as the limit.</summary>
    /// <exception cref="ScenarioFailedException">The conversation went another way.</exception>
    public static async Task PlayAsync(Scenario scenario, MailProxy proxy, TimeSpan? limit = null)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        await using var player = new ScenarioPlayer(scenario, proxy, limit ?? Deadline.Step);
        await player.StartAsync();
        ScenarioStep[] steps = [.. scenario.Steps.Where(step => step.Only is null || step.Only == player._part)];
        int at = 0;
        while (at < steps.Length)
        {
            ScenarioStep step = steps[at];
            ScenarioStep[] block = [step, .. steps.Skip(at + 1).TakeWhile(next => Joins(step.Kind, next.Kind))];
            at += block.Length;
            await player.GuardAsync(step, () => player.PerformAsync(step, block));
        }

        await player.GuardAsync(steps[^1], player.FinishAsync);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable? part in new IAsyncDisposable?[] { _client, _auth, _upstream, _program, _authListener, _upstreamListener, _dns })
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }

        _folder.Dispose();
    }

    // Lines of one request or one response belong together.
    private static bool Joins(string first, string next) => first switch
    {
        "A:" or "auth:" => next == "A:",
        "A<" => next == "A<",
        _ => false,
    };

    private async Task StartAsync()
    {
        int listenPort = LoopbackPorts.Next();
        if (_scenario.AuthServer != "none")
        {
            _authListener = _scenario.AuthServer == "unix"
                ? ScriptedListener.OnUnixSocket(_folder.File("auth.sock"), "auth server")
                : ScriptedListener.OnLoopback("auth server");
        }

        _upstreamListener = _scenario.Upstream == "ipv6" ? ScriptedListener.OnLoopbackV6("upstream") : ScriptedListener.OnLoopback("upstream");
        TestCertificate certificate = TestCertificate.WriteEcdsa(_folder);
        _values["listen"] = $"127.0.0.1:{listenPort}";
        _values["listenport"] = Decimal(listenPort);
        _values["authport"] = Decimal(_authListener is { Port: > 0 } auth ? auth.Port : LoopbackPorts.Next());
        _values["upstreamport"] = Decimal(_upstreamListener.Port);
        _values["closedport"] = Decimal(LoopbackPorts.Next());
        _values["folder"] = _folder.Path;
        _values["certificate"] = certificate.CertificateFile;
        _values["key"] = certificate.KeyFile;

        if (_scenario.Zone.Count > 0)
        {
            _dns = ScriptedDns.Start(_scenario.Zone.Select(line => Template.Render(line, _values)));
            _values["dnsport"] = Decimal(_dns.Port);
        }

        string[] mail = Directives(_scenario.Mail);
        string[] server = Directives(_scenario.Server);
        string authUrl = _scenario.AuthServer == "unix" ? $"unix:{_folder.File("auth.sock")}:/auth" : $"127.0.0.1:{_values["authport"]}/auth";
        string configuration =
            $$"""
            mail {
                {{Default(mail, "server_name", "server_name mx.example.test;")}}
                {{Default([.. mail, .. server], "auth_http", $"auth_http {authUrl};")}}
                {{string.Join("\n    ", mail)}}
                server {
                    listen {{_values["listen"]}} {{_scenario.Listen}};
                    protocol {{_scenario.Protocol}};
                    {{string.Join("\n        ", server)}}
                }
            }
            """;
        _program = await ProgramUnderTest.StartAsync(_proxy, _folder, configuration, listenPort);
    }

    private string[] Directives(IEnumerable<ConfigurationLine> lines) =>
        [.. lines.Where(line => line.Only is null || line.Only == _part).Select(line => Template.Render(line.Text.Replace("\\", "\\\\", StringComparison.Ordinal), _values))];

    private static string Default(string[] lines, string directive, string text) =>
        lines.Any(line => line.StartsWith(directive + " ", StringComparison.Ordinal)) ? "" : text;

    private async Task GuardAsync(ScenarioStep step, Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (Exception e) when (e is not ScenarioFailedException)
        {
            string state = _program is { HasExited: true } ? " (the program has ended)" : "";
            throw new ScenarioFailedException(
                $"""
                {Path.GetFileName(_scenario.File)}:{step.Line}: {step.Kind} {step.Text}
                {_proxy}{state}: {e.Message}
                --- its log:
                {Tail(_program?.Log ?? "")}
                """,
                e);
        }
    }

    private async Task PerformAsync(ScenarioStep step, ScenarioStep[] block)
    {
        for (int i = 0; i < step.Repeat; i++)
        {
            await PerformOnceAsync(step, block);
        }
    }

    private Task PerformOnceAsync(ScenarioStep step, ScenarioStep[] block) => step.Kind switch
    {
        "C:" => SendAsClientAsync(Render(step) + "\r\n"),
        "C-" => SendAsClientAsync(Render(step)),
        "C." => SendByteByByteAsync(Render(step) + "\r\n"),
        "C!" => ActAsClientAsync(step.Text.Trim()),
        "S:" when step.Text.Trim() == "<close>" => ExpectCloseAsync(),
        "S:" => ExpectLineAsync(ClientAsync, step.Text),
        "S-" => ExpectBytesAsync(ClientAsync, step.Text),
        "S!" => DrainAsync(step.Text.Trim()),
        "A:" => ExpectAuthRequestAsync([.. block.Select(line => line.Text)], 0),
        "auth:" => ExpectStandardAuthRequestAsync(step.Text, [.. block.Skip(1).Select(line => line.Text)]),
        "A<" => AnswerAuthAsync(string.Concat(block.Select(line => Render(line) + "\r\n")) + "\r\n"),
        "A-" => Auth.WriteAsync(Render(step)),
        "A." => Auth.WriteByteByByteAsync(Render(step)),
        "A!" => ActAsAuthServerAsync(step.Text.Trim()),
        "accept" => AcceptLoginAsync(step.Text),
        "refuse:" => AnswerAuthAsync($"HTTP/1.0 200 OK\r\nAuth-Status: {Render(step)}\r\n\r\n"),
        "U:" when step.Text.Trim() == "<close>" => ExpectUpstreamCloseAsync(),
        "U:" when step.Text.StartsWith("login", StringComparison.Ordinal) => ExpectUpstreamLoginAsync(step.Text),
        "U:" => ExpectLineAsync(UpstreamAsync, step.Text),
        "U=" => ExpectBytesAsync(UpstreamAsync, step.Text),
        "U<" => SendAsUpstreamAsync(Render(step) + "\r\n"),
        "U-" => SendAsUpstreamAsync(Render(step)),
        "U!" => ActAsUpstreamAsync(step.Text.Trim()),
        "check:" => CheckAsync(step.Text),
        "clock" => StartClockAsync(),
        "elapsed:" => CheckElapsedAsync(step.Text),
        "queries:" => CheckQueriesAsync(step),
        "log:" or "nolog:" => RememberAsync(step),
        _ => throw new InvalidOperationException($"Unknown step {step.Kind}"),
    };

    private string Render(ScenarioStep step) => Template.Render(step.Text, _values);

    // The client

    private async Task<ScriptedConnection> ClientAsync()
    {
        if (_client is null)
        {
            _client = await ScriptedConnection.ConnectAsync(int.Parse(_values["listenport"], CultureInfo.InvariantCulture), _limit);
            _values["clientport"] = Decimal(((IPEndPoint)_client.Socket.LocalEndPoint!).Port);
        }

        return _client;
    }

    private async Task SendAsClientAsync(string bytes) => await (await ClientAsync()).WriteAsync(bytes);

    private async Task SendByteByByteAsync(string bytes) => await (await ClientAsync()).WriteByteByByteAsync(bytes);

    // Idle time is what such a scenario is about; nothing waits for an event here.
    private static bool IsPause(string action, out TimeSpan length)
    {
        string[] words = action.Split(' ');
        length = words is ["pause", var seconds] ? TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture)) : TimeSpan.Zero;
        return words[0] == "pause";
    }

    private async Task ActAsClientAsync(string action)
    {
        if (IsPause(action, out TimeSpan pause))
        {
            await Task.Delay(pause);
            return;
        }

        ScriptedConnection client = await ClientAsync();
        switch (action)
        {
            case "connect":
                break;
            case "tls":
                await client.StartTlsAsync();
                break;
            case "tls 1.2":
                await client.StartTlsAsync(SslProtocols.Tls12);
                break;
            case "tls held":
                await client.StartTlsAsync(SslProtocols.Tls13, holdFinished: true);
                break;
            case "half-close":
                await client.HalfCloseAsync();
                break;
            case "close":
                client.Close();
                _clientDone = true;
                break;
            case "reset":
                client.Reset();
                _clientDone = true;
                break;
            case "again":
                await client.DisposeAsync();
                _client = null;
                _clientDone = false;
                break;
            default:
                throw new InvalidOperationException($"Unknown client action {action}");
        }
    }

    private async Task ExpectLineAsync(Func<Task<ScriptedConnection>> from, string template)
    {
        string? line = await (await from()).ReadLineAsync();
        if (line is null || !line.EndsWith("\r\n", StringComparison.Ordinal) || !Template.Matches(template, line[..^2], _values))
        {
            throw new InvalidOperationException($"got \"{(line is null ? "<close>" : Text.Show(line))}\"");
        }
    }

    private async Task ExpectBytesAsync(Func<Task<ScriptedConnection>> from, string template)
    {
        string expected = Template.Render(template, _values);
        string actual = await (await from()).ReadAsync(expected.Length);
        if (actual != expected)
        {
            throw new InvalidOperationException($"got \"{Text.Show(actual)}\"");
        }
    }

    /// <summary>
    /// <c>S! drain</c>: a close, whatever comes before it, for cases in which a reset may overtake replies;
    /// <c>S! tls-alert-or-close</c>: a close with nothing before it, or only one TLS alert record.
    /// </summary>
    private async Task DrainAsync(string action)
    {
        string rest = await (await ClientAsync()).ReadToEndAsync();
        bool fits = action switch
        {
            "drain" => true,
            "tls-alert-or-close" => rest.Length == 0 || (rest.Length == 7 && rest[0] == 21 && rest[1] == 3),
            _ => throw new InvalidOperationException($"Unknown action {action}"),
        };
        if (!fits)
        {
            throw new InvalidOperationException($"got \"{Text.Show(rest)}\"");
        }

        _clientDone = true;
    }

    private async Task ExpectCloseAsync()
    {
        string rest = await (await ClientAsync()).ReadToEndAsync();
        if (rest.Length > 0)
        {
            throw new InvalidOperationException($"got \"{Text.Show(rest)}\" before the close");
        }

        _clientDone = true;
    }

    // The auth server

    private Task ExpectStandardAuthRequestAsync(string text, IReadOnlyList<string> more)
    {
        string[] words = [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Unquote)];
        string attempt = words.FirstOrDefault(word => word.StartsWith("attempt=", StringComparison.Ordinal))?["attempt=".Length..] ?? "1";
        string? salt = words.FirstOrDefault(word => word.StartsWith("salt=", StringComparison.Ordinal))?["salt=".Length..];
        string host = words.FirstOrDefault(word => word.StartsWith("host=", StringComparison.Ordinal))?["host=".Length..] ?? "[UNAVAILABLE]";
        string client = words.FirstOrDefault(word => word.StartsWith("client=", StringComparison.Ordinal))?["client=".Length..] ?? "127.0.0.1";
        string[] lines =
        [
            .. new[] { $"Auth-Method: {words[0]}", $"Auth-User: {words[1]}", $"Auth-Pass: {words[2]}" },
            .. salt is null ? [] : new[] { $"Auth-Salt: {salt}" },
            .. new[] { $"Auth-Protocol: {_scenario.Protocol}", $"Auth-Login-Attempt: {attempt}", $"Client-IP: {client}" },
            .. _scenario.Protocol == "smtp" ? new[] { $"Client-Host: {host}" } : [],
            .. more,
        ];
        return ExpectAuthRequestAsync(lines, 2);
    }

    /// <summary>
    /// Compares the next request. The HTTP version and a <c>Connection</c> line are the proxy's affair; with
    /// <paramref name="leading"/> 2 the request line and <c>Host</c> are checked here and are not among the lines.
    /// </summary>
    private async Task ExpectAuthRequestAsync(string[] lines, int leading)
    {
        ScriptedConnection auth = await NextAuthConnectionAsync();
        var actual = new List<string>();
        while (true)
        {
            string line = await auth.ReadLineAsync() ?? throw new EndOfStreamException("The proxy closed its auth request.");
            if (line == "\r\n")
            {
                break;
            }

            actual.Add(line.EndsWith("\r\n", StringComparison.Ordinal) ? line[..^2] : line);
        }

        string[] comparable = [.. actual.Where(line => !line.StartsWith("Connection:", StringComparison.OrdinalIgnoreCase))];
        if (leading > 0)
        {
            string host = _scenario.AuthServer == "unix" ? "localhost" : "127.0.0.1";
            string[] head = [.. comparable.Take(leading)];
            if (head is not ["GET /auth HTTP/1.0" or "GET /auth HTTP/1.1", var hostLine]
                || (hostLine != $"Host: {host}" && hostLine != $"Host: {host}:{_values["authport"]}"))
            {
                throw new InvalidOperationException($"the request begins:\n{string.Join('\n', head)}");
            }

            comparable = comparable[leading..];
        }

        bool same = comparable.Length == lines.Length && lines.Zip(comparable).All(pair => Template.Matches(pair.First, pair.Second, _values));
        if (!same)
        {
            throw new InvalidOperationException(
                $"the auth request is\n{string.Join('\n', comparable.Select(Text.Show))}\nexpected was\n{string.Join('\n', lines)}");
        }
    }

    private async Task<ScriptedConnection> NextAuthConnectionAsync()
    {
        ScriptedListener listener = _authListener ?? throw new InvalidOperationException("This scenario has no auth server.");
        if (_auth is { } open)
        {
            // A proxy may keep the connection, or come on a new one.
            await Deadline.UntilAsync(
                () => listener.HasWaiting || open.PendingBytes > 0 || open.Socket is { Connected: true, Available: > 0 },
                () => "waited in vain for another auth request",
                _limit);
            if (!listener.HasWaiting)
            {
                return open;
            }

            await open.DisposeAsync();
        }

        _auth = await listener.AcceptAsync(_limit);
        return _auth;
    }

    private async Task AcceptLoginAsync(string text)
    {
        string server = _scenario.Upstream == "ipv6" ? "::1" : "127.0.0.1";
        string port = _values["upstreamport"];
        string more = "";
        bool keep = false;
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] pair = word.Split('=', 2);
            string value = pair.Length > 1 ? Template.Render(pair[1], _values) : "";
            switch (pair[0])
            {
                case "user":
                    more += $"Auth-User: {value}\r\n";
                    break;
                case "pass":
                    more += $"Auth-Pass: {value}\r\n";
                    break;
                case "server":
                    server = value;
                    break;
                case "port":
                    port = value;
                    break;
                case "keep":
                    keep = true;
                    more += "Connection: keep-alive\r\nContent-Length: 0\r\n";
                    break;
                default:
                    throw new FormatException($"Unknown word {word}");
            }
        }

        string response = $"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\nAuth-Server: {server}\r\nAuth-Port: {port}\r\n{more}\r\n";
        if (keep)
        {
            await Auth.WriteAsync(response);
        }
        else
        {
            await AnswerAuthAsync(response);
        }
    }

    private async Task AnswerAuthAsync(string bytes)
    {
        await Auth.WriteAsync(bytes);
        await Auth.HalfCloseAsync();
    }

    private async Task ActAsAuthServerAsync(string action)
    {
        switch (action)
        {
            case "close":
                Auth.Close();
                break;
            case "end":
                await Auth.HalfCloseAsync();
                break;
            case "reset":
                Auth.Reset();
                break;
            default:
                throw new InvalidOperationException($"Unknown auth server action {action}");
        }
    }

    // The upstream

    private async Task<ScriptedConnection> UpstreamAsync() => _upstream ??= await _upstreamListener!.AcceptAsync(_limit);

    private async Task SendAsUpstreamAsync(string bytes) => await (await UpstreamAsync()).WriteAsync(bytes);

    private async Task ExpectUpstreamLoginAsync(string text)
    {
        string[] words = [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Unquote).Select(word => Template.Render(word, _values))];
        string continuation = words[0] == "login/short" ? "+ \r\n" : "+ go\r\n";
        (string tag, string user, string password) = await UpstreamLogin.ReadAsync(await UpstreamAsync(), continuation);
        if (tag != words[1] || user != words[2] || password != words[3])
        {
            throw new InvalidOperationException($"got tag \"{Text.Show(tag)}\", user \"{Text.Show(user)}\", password \"{Text.Show(password)}\"");
        }
    }

    private async Task ExpectUpstreamCloseAsync()
    {
        string rest = await (await UpstreamAsync()).ReadToEndAsync();
        if (rest.Length > 0)
        {
            throw new InvalidOperationException($"the upstream got \"{Text.Show(rest)}\" before the close");
        }
    }

    private async Task ActAsUpstreamAsync(string action)
    {
        ScriptedConnection upstream = await UpstreamAsync();
        switch (action)
        {
            case "accept":
                break;
            case "close":
                upstream.Close();
                break;
            case "half-close":
                await upstream.HalfCloseAsync();
                break;
            case "reset":
                upstream.Reset();
                break;
            case "again":
                await upstream.DisposeAsync();
                _upstream = null;
                break;
            default:
                throw new InvalidOperationException($"Unknown upstream action {action}");
        }
    }

    // Everything else

    /// <summary><c>check: NAME ~ REGEX</c> or <c>check: NAME != OTHER</c> about remembered values.</summary>
    private Task CheckAsync(string text)
    {
        string[] words = text.Trim().Split(' ', 3);
        bool holds = words[1] switch
        {
            "~" => Regex.IsMatch(_values[words[0]], @"\A" + words[2] + @"\z", RegexOptions.CultureInvariant),
            "!=" => _values[words[0]] != _values[words[2]],
            _ => throw new FormatException($"Unknown comparison {words[1]}"),
        };
        return holds ? Task.CompletedTask : throw new InvalidOperationException($"{words[0]} is \"{Text.Show(_values[words[0]])}\"");
    }

    private Task StartClockAsync()
    {
        _clock = Stopwatch.GetTimestamp();
        return Task.CompletedTask;
    }

    /// <summary><c>elapsed: FROM TO</c> in seconds since <c>clock</c>.</summary>
    private Task CheckElapsedAsync(string text)
    {
        double[] range = [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => double.Parse(word, CultureInfo.InvariantCulture))];
        double seconds = Stopwatch.GetElapsedTime(_clock).TotalSeconds;
        return seconds >= range[0] && seconds <= range[1]
            ? Task.CompletedTask
            : throw new InvalidOperationException($"{seconds:0.000} s have passed");
    }

    /// <summary><c>queries: TYPE NAME, …</c>: what the name server was asked so far, sorted.</summary>
    private Task CheckQueriesAsync(ScenarioStep step)
    {
        string asked = string.Join(", ", _dns!.Queries.Order(StringComparer.Ordinal));
        return asked == Render(step) ? Task.CompletedTask : throw new InvalidOperationException($"the name server was asked {asked}");
    }

    private Task RememberAsync(ScenarioStep step)
    {
        _logChecks.Add(step);
        return Task.CompletedTask;
    }

    /// <summary>Nothing may be left over: no byte for the client, no request, no upstream connection; and the log must fit.</summary>
    private async Task FinishAsync()
    {
        if (_client is not null && !_clientDone)
        {
            await _client.HalfCloseAsync();
            await ExpectCloseAsync();
        }

        if (_authListener is { HasWaiting: true })
        {
            throw new InvalidOperationException("there was one more auth request");
        }

        if (_upstreamListener!.HasWaiting)
        {
            throw new InvalidOperationException("there was one more upstream connection");
        }

        foreach (ScenarioStep check in _logChecks.Where(check => check.Kind == "log:"))
        {
            await Deadline.UntilAsync(() => Logged(check), () => $"nothing in the log matches line {check.Line}: {check.Text}", _limit);
        }

        foreach (ScenarioStep check in _logChecks.Where(check => check.Kind == "nolog:"))
        {
            if (Logged(check))
            {
                throw new InvalidOperationException($"the log must not have line {check.Line}: {check.Text}");
            }
        }

        if (_program!.HasExited)
        {
            throw new InvalidOperationException("the program has ended by itself");
        }
    }

    private bool Logged(ScenarioStep check) => Template.Finder(check.Text, _values).IsMatch(_program!.Log);

    private static string Tail(string log) => log.Length > 4000 ? "…" + log[^4000..] : log;

    private static string Unquote(string word) => word == "\"\"" ? "" : word;

    private static string Decimal(int number) => number.ToString(CultureInfo.InvariantCulture);
}
