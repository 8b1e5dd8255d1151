using System.Globalization;
using System.Net;
using System.Text;

namespace Postern.Demo;

/// <summary>
/// An auth server of nginx's <c>auth_http</c> protocol (mail-proxy section 4) over a table of users. Speaks HTTP/1.0 and 1.1
/// and keeps connections alive when asked to.
/// </summary>
public sealed class DemoAuthServer : IDisposable
{
    private readonly LineListener _listener;
    private readonly DemoUsers _users;
    private readonly IPEndPoint _backend;

    private DemoAuthServer(DemoUsers users, IPEndPoint backend)
    {
        _users = users;
        _backend = backend;
        _listener = new LineListener(ConverseAsync);
    }

    /// <summary>Port on 127.0.0.1.</summary>
    public int Port => _listener.Port;

    /// <param name="users">Who may sign in.</param>
    /// <param name="backend">Where everybody is sent.</param>
    public static DemoAuthServer Start(DemoUsers users, IPEndPoint backend) => new(users, backend);

    public void Dispose() => _listener.Dispose();

    private async Task ConverseAsync(LineStream stream, CancellationToken stop)
    {
        while (await stream.ReadLineAsync(stop).ConfigureAwait(false) is { } requestLine)
        {
            Dictionary<string, string> headers = new(StringComparer.OrdinalIgnoreCase);
            while (await stream.ReadLineAsync(stop).ConfigureAwait(false) is { Length: > 0 } line)
            {
                int colon = line.IndexOf(':', StringComparison.Ordinal);
                headers[line[..Math.Max(0, colon)]] = line[(colon + 1)..].Trim();
            }

            bool keep = headers.GetValueOrDefault("Connection", "").Contains("keep-alive", StringComparison.OrdinalIgnoreCase);
            await stream.WriteAsync(Answer(requestLine, headers, keep), stop).ConfigureAwait(false);
            if (!keep)
            {
                return;
            }
        }
    }

    private string Answer(string requestLine, Dictionary<string, string> headers, bool keep)
    {
        string user = Unescape(headers.GetValueOrDefault("Auth-User", ""));
        string password = Unescape(headers.GetValueOrDefault("Auth-Pass", ""));
        string decision = headers.GetValueOrDefault("Auth-Method") == "plain" && _users.SignIn(user, password) is not null
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"Auth-Status: OK\r\nAuth-Server: {_backend.Address}\r\nAuth-Port: {_backend.Port}\r\n")
            : "Auth-Status: Invalid login or password\r\nAuth-Wait: 1\r\n";
        string version = requestLine.EndsWith("HTTP/1.1", StringComparison.Ordinal) ? "HTTP/1.1" : "HTTP/1.0";
        return $"{version} 200 OK\r\n{decision}Content-Length: 0\r\nConnection: {(keep ? "keep-alive" : "close")}\r\n\r\n";
    }

    /// <summary>Undoes the escaping of Auth-User and Auth-Pass (mail-proxy 4.1).</summary>
    private static string Unescape(string value)
    {
        var text = new StringBuilder(value.Length);
        for (int i = 0; i < value.Length; i++)
        {
            if (value[i] == '%' && i + 2 < value.Length
                && byte.TryParse(value.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte code))
            {
                text.Append((char)code);
                i += 2;
            }
            else
            {
                text.Append(value[i]);
            }
        }

        return text.ToString();
    }
}
