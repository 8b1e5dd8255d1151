using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.TestKit;
using Postern.TestKit.Hostile;
using Postern.TestKit.Scenarios;
using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>What <c>CredentialTests</c> and <c>HostileAnswerTests</c> do to scripted sessions, done to the published program and to nginx.</summary>
public sealed class CredentialsOnTheWireTests
{
    /// <summary>Logins and passwords of troublesome bytes: what auth server and backend understand.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task Troublemakers_AuthServerAndBackendGetOneValue(MailProxy proxy)
    {
        await using HostileSite site = await HostileSite.StartAsync(proxy);
        await using ScriptedListener backend = ScriptedListener.OnLoopback("backend");
        site.Otherwise = new Play(Play.Accept.Replace("BACKEND", backend.Port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
        foreach (string protocol in HostileSite.Protocols)
        {
            var atAuthServer = new Outcomes();
            var atBackend = new Outcomes();
            foreach ((string login, string password) in Troublemakers.Values.Select(value => (value, "p")).Concat(Troublemakers.Values.Select(value => ("u", value))))
            {
                (string asked, string told) = await SignInAsync(site, backend, protocol, login, password);
                atAuthServer.Add(asked, $"{login} {password}");
                atBackend.Add(told, $"{login} {password}");
            }

            atAuthServer.AssertAre("one value");
            atBackend.AssertAre((proxy, protocol) switch
            {
                (MailProxy.Postern, "pop3") => ["one value", "internal error, not called"],
                (MailProxy.Nginx, "pop3") => ["one value", "commands of the client's own"],

                // XCLIENT's LOGIN is xtext since then.
                (MailProxy.Nginx, "smtp") when ProgramUnderTest.NginxVersion < new Version(1, 29, 2) => ["one value", "another value", "attributes or commands of the client's own"],
                _ => ["one value"],
            });
        }
    }

    /// <summary>Answers to the PTR query that no honest name server sends: what the auth server is told of the client's name.</summary>
    [Theory]
    [MemberData(nameof(HostileSite.Proxies), MemberType = typeof(HostileSite))]
    public async Task HostileNameServers_NoName(MailProxy proxy)
    {
        const string Host = "Client-Host: ";
        var outcomes = new Outcomes();
        using var stop = new CancellationTokenSource();
        List<(Socket Socket, int Port, string What)> servers = [];
        List<Task> work = [];
        foreach ((string what, Func<byte[], byte[]> answer) in HostileAnswers.Cases)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            servers.Add((socket, LoopbackPorts.Next(), what));
            work.Add(HostileAnswers.ServeAsync(socket, answer, stop.Token));
        }

        string blocks = string.Concat(servers.Select(server => string.Create(
            CultureInfo.InvariantCulture,
            $"server {{ listen 127.0.0.1:{server.Port}; protocol smtp; resolver 127.0.0.1:{((IPEndPoint)server.Socket.LocalEndPoint!).Port}; resolver_timeout 1s; }}\n")));
        await using (HostileSite site = await HostileSite.StartAsync(proxy, servers: blocks))
        {
            await HostileSite.EachAsync(
                servers,
                async server =>
                {
                    await using ScriptedConnection client = await ScriptedConnection.ConnectAsync(server.Port);
                    _ = await client.ReadLineAsync();
                    string login = string.Create(CultureInfo.InvariantCulture, $"dns{server.Port}");
                    await client.WriteAsync(Dialect.Of("smtp").SignInAs(login, "p"));
                    _ = await client.ReadLineAsync();
                    string request = site.Requests.Single(one => one.Contains($"Auth-User: {login}\r\n", StringComparison.Ordinal));
                    outcomes.Add(string.Join(' ', request.Split("\r\n").Where(line => line.StartsWith(Host, StringComparison.Ordinal))), server.What);
                });
            Assert.False(site.Program.HasExited, site.Program.Log);
        }

        await stop.CancelAsync();
        await Task.WhenAll(work);
        servers.ForEach(server => server.Socket.Dispose());
        outcomes.AssertAre(Host + "[UNAVAILABLE]", Host + "[TEMPUNAVAIL]");
    }

    /// <returns>What auth server and backend make of it.</returns>
    private static async Task<(string Asked, string Told)> SignInAsync(
        HostileSite site, ScriptedListener backend, string protocol, string login, string password)
    {
        // A NUL of the login is where the password begins: PLAIN cannot say otherwise.
        string[] parts = $"{login}\0{password}".Split('\0', 2);
        site.Requests.Clear();
        await using ScriptedConnection client = await site.ConnectAsync(protocol);
        await client.WriteAsync((protocol == "imap" ? "a AUTHENTICATE" : "AUTH") + " PLAIN\r\n");
        _ = await client.ReadLineAsync();
        await client.WriteAsync(Convert.ToBase64String(Text.Bytes($"\0{login}\0{password}")) + "\r\n");

        // Either the backend is called, or the client is told what went wrong.
        Task<string?> heard = client.ReadLineAsync();
        await Deadline.UntilAsync(() => heard.IsCompleted || backend.HasWaiting, () => "nothing happens");
        string asked = site.Requests.TryDequeue(out string? request) ? Judge(request, parts[0], parts[1]) : "not asked";
        if (!backend.HasWaiting)
        {
            return (asked, await heard == Dialect.Of(protocol).InternalError ? "internal error, not called" : "other: " + await heard);
        }

        ScriptedConnection called = await backend.AcceptAsync();
        string told = await HearAsync(called, protocol, parts[0], parts[1]);
        await called.DisposeAsync();
        _ = await heard;
        return (asked, told);
    }

    /// <summary>One line for each, and unescaped again it is what the client had said.</summary>
    private static string Judge(string request, string login, string password)
    {
        string[] lines = request.Split("\r\n");
        string? user = Single(lines, "Auth-User: ");
        string? pass = Single(lines, "Auth-Pass: ");
        return user is null || pass is null ? "lines of the client's own"
            : Unescape(user, '%') == login && Unescape(pass, '%') == password ? "one value" : "another value";
    }

    private static string? Single(string[] lines, string name)
    {
        string[] found = [.. lines.Where(line => line.StartsWith(name, StringComparison.Ordinal))];
        return found.Length == 1 ? found[0][name.Length..] : null;
    }

    /// <summary>A backend that reads as the protocol says.</summary>
    private static async Task<string> HearAsync(ScriptedConnection backend, string protocol, string login, string password)
    {
        try
        {
            switch (protocol)
            {
                case "imap":
                    await backend.WriteAsync("* OK hello\r\n");
                    (_, string user, string pass) = await UpstreamLogin.ReadAsync(backend);
                    return user == login && pass == password ? "one value" : "another value";
                case "pop3":
                    await backend.WriteAsync("+OK hello\r\n");
                    string first = await backend.ReadLineAsync() ?? "";
                    if (first != $"USER {login}\r\n")
                    {
                        return "commands of the client's own";
                    }

                    await backend.WriteAsync("+OK\r\n");
                    return await backend.ReadLineAsync() == $"PASS {password}\r\n" ? "one value" : "commands of the client's own";
                default:
                    await backend.WriteAsync("220 hello\r\n");
                    _ = await backend.ReadLineAsync();
                    await backend.WriteAsync("250 XCLIENT\r\n");
                    string xclient = await backend.ReadLineAsync() ?? "";
                    string[] logins = [.. xclient.TrimEnd('\r', '\n').Split(' ').Where(word => word.StartsWith("LOGIN=", StringComparison.Ordinal))];
                    bool whole = xclient.EndsWith("\r\n", StringComparison.Ordinal) && (login.Length == 0 ? logins.Length == 0 : logins.Length == 1);
                    return !whole || xclient.Contains(" NAME=y", StringComparison.Ordinal) ? "attributes or commands of the client's own"
                        : login.Length == 0 || Unescape(logins[0]["LOGIN=".Length..], '+') == login ? "one value" : "another value";
            }
        }
        catch (FormatException)
        {
            return "no command a backend could read";
        }
    }

    private static string Unescape(string text, char sign)
    {
        var plain = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            bool escaped = text[i] == sign && i + 2 < text.Length && char.IsAsciiHexDigit(text[i + 1]) && char.IsAsciiHexDigit(text[i + 2]);
            plain.Append(escaped ? (char)byte.Parse(text.AsSpan(i + 1, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) : text[i]);
            i += escaped ? 2 : 0;
        }

        return plain.ToString();
    }
}
