using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Postern.Demo;

/// <summary>One request to the auth server, with what was answered. Holds no password.</summary>
/// <param name="User">Decoded <c>Auth-User</c>.</param>
/// <param name="Method"><c>Auth-Method</c>: plain, cram-md5, external…</param>
/// <param name="Protocol"><c>Auth-Protocol</c>: imap, pop3 or smtp.</param>
/// <param name="ClientAddress"><c>Client-IP</c>.</param>
/// <param name="TlsProtocol"><c>Auth-SSL-Protocol</c>; null without TLS.</param>
/// <param name="Attempt"><c>Auth-Login-Attempt</c>, from 1.</param>
/// <param name="Accepted">Whether the answer was OK.</param>
public sealed record DemoLogin(
    string User,
    string Method,
    string Protocol,
    string ClientAddress,
    string? TlsProtocol,
    int Attempt,
    bool Accepted);

/// <summary>
/// An auth server for <c>auth_http</c> on a loopback port: a table of users, and one upstream for each protocol. Mail without
/// sign-in (<c>smtp_auth none</c>) is let in when its recipient is one of them. Speaks HTTP/1.0 and 1.1 with connections kept open.
/// </summary>
public sealed class DemoAuthServer : IAsyncDisposable
{
    // What a proxy sends fits many times over; a request that does not is not from a proxy.
    private const int MaxRequestBytes = 64 * 1024;

    private readonly Dictionary<string, DemoUser> _users;
    private readonly Func<string, IPEndPoint> _upstreamOf;
    private readonly DemoListener _listener;
    private readonly int _waitSeconds;

    /// <summary>Starts the server.</summary>
    /// <param name="users">Who may log in.</param>
    /// <param name="upstreamOf">Where everybody's mail is, by <c>Auth-Protocol</c>: imap, pop3 or smtp.</param>
    /// <param name="port">0 lets the system choose.</param>
    /// <param name="waitSeconds">Seconds a refused client has to wait before it may try again; 0 closes its connection.</param>
    public DemoAuthServer(IEnumerable<DemoUser> users, Func<string, IPEndPoint> upstreamOf, int port = 0, int waitSeconds = 1)
    {
        _users = users.ToDictionary(user => user.Name);
        _upstreamOf = upstreamOf;
        _waitSeconds = waitSeconds;
        _listener = new DemoListener(port, ServeAsync);
    }

    /// <summary>Raised after each answer, on the connection's own task: handlers must be quick and thread-safe.</summary>
    public event Action<DemoLogin>? Answered;

    public IPEndPoint EndPoint => _listener.EndPoint;

    /// <summary>The value of the <c>auth_http</c> directive.</summary>
    public string Url => $"http://{EndPoint}/auth";

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        byte[] buffer = new byte[4096];
        int filled = 0;
        while (true)
        {
            int end;
            while ((end = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8)) < 0)
            {
                if (filled == buffer.Length)
                {
                    if (filled >= MaxRequestBytes)
                    {
                        return;
                    }

                    Array.Resize(ref buffer, filled * 2);
                }

                int got = await client.ReceiveAsync(buffer.AsMemory(filled), stop);
                if (got == 0)
                {
                    return;
                }

                filled += got;
            }

            (DemoLogin login, bool keep, string response) = Answer(Encoding.Latin1.GetString(buffer, 0, end));
            buffer.AsSpan(end + 4, filled - end - 4).CopyTo(buffer);
            filled -= end + 4;
            await SendAllAsync(client, Encoding.ASCII.GetBytes(response), stop);
            Answered?.Invoke(login);
            if (!keep)
            {
                return;
            }
        }
    }

    private static async Task SendAllAsync(Socket client, ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await client.SendAsync(bytes, stop)..];
        }
    }

    private (DemoLogin Login, bool Keep, string Response) Answer(string head)
    {
        string[] lines = head.Split("\r\n");
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (string line in lines.Skip(1))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0)
            {
                headers[line[..colon]] = line[(colon + 1)..].TrimStart(' ');
            }
        }

        string connection = headers.GetValueOrDefault("Connection", "");
        bool keep = lines[0].EndsWith("HTTP/1.1", StringComparison.Ordinal)
            ? !connection.Equals("close", StringComparison.OrdinalIgnoreCase)
            : connection.Equals("keep-alive", StringComparison.OrdinalIgnoreCase);
        string user = Unescape(headers.GetValueOrDefault("Auth-User", ""));
        string method = headers.GetValueOrDefault("Auth-Method", "");
        string protocol = headers.GetValueOrDefault("Auth-Protocol", "");
        string password = _users.GetValueOrDefault(user)?.Password ?? "";
        bool accepted = method == "none" ? IsForUser(headers.GetValueOrDefault("Auth-SMTP-To", "")) : IsRight(method, password, headers);
        _ = int.TryParse(headers.GetValueOrDefault("Auth-Login-Attempt"), CultureInfo.InvariantCulture, out int attempt);
        var login = new DemoLogin(
            user,
            method,
            protocol,
            headers.GetValueOrDefault("Client-IP", ""),
            headers.GetValueOrDefault("Auth-SSL-Protocol"),
            attempt,
            accepted);
        string decision = accepted ? Accept(_upstreamOf(protocol), password)
            : (method == "none" ? "Auth-Status: No such user here\r\nAuth-Error-Code: 550 5.1.1\r\n" : "Auth-Status: Invalid login or password\r\n")
            + (_waitSeconds > 0 ? $"Auth-Wait: {_waitSeconds}\r\n" : "");
        return (login, keep, $"HTTP/1.1 200 OK\r\n{decision}Content-Length: 0\r\nConnection: {(keep ? "keep-alive" : "close")}\r\n\r\n");
    }

    private static string Accept(IPEndPoint upstream, string password) =>
        $"Auth-Status: OK\r\nAuth-Server: {upstream.Address}\r\nAuth-Port: {upstream.Port}\r\n"
        + (password.Length > 0 ? $"Auth-Pass: {password}\r\n" : "");

    /// <param name="command">The client's RCPT command.</param>
    private bool IsForUser(string command)
    {
        int open = command.IndexOf('<', StringComparison.Ordinal);
        int close = command.IndexOf('>', StringComparison.Ordinal);
        return open >= 0 && close > open && _users.Values.Any(user => user.IsAt(command[(open + 1)..close]));
    }

    private static bool IsRight(string method, string password, Dictionary<string, string> headers)
    {
        string given = Unescape(headers.GetValueOrDefault("Auth-Pass", ""));
        string expected = method switch
        {
            _ when password.Length == 0 => "",
            "plain" => password,
            "cram-md5" => CramMd5(password, headers.GetValueOrDefault("Auth-Salt", "")),
            "apop" => Md5(headers.GetValueOrDefault("Auth-Salt", "") + password),
            _ => "",
        };
        return expected.Length > 0
            && CryptographicOperations.FixedTimeEquals(Encoding.Latin1.GetBytes(expected), Encoding.Latin1.GetBytes(given));
    }

#pragma warning disable CA5351 // RFC 1939 and RFC 2195 are made of MD5; these users and passwords are printed on the screen anyway
    private static string CramMd5(string password, string challenge) =>
        Convert.ToHexStringLower(HMACMD5.HashData(Encoding.Latin1.GetBytes(password), Encoding.Latin1.GetBytes(challenge)));

    private static string Md5(string text) => Convert.ToHexStringLower(MD5.HashData(Encoding.Latin1.GetBytes(text)));
#pragma warning restore CA5351

    // The proxy writes bytes up to 0x20 and the per cent sign as %XX.
    private static string Unescape(string text)
    {
        var plain = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' && i + 2 < text.Length && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
            {
                plain.Append((char)value);
                i += 2;
            }
            else
            {
                plain.Append(text[i]);
            }
        }

        return plain.ToString();
    }
}
