using System.Text;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Tests.Scripted;
using Postern.TestKit;

namespace Postern.Auth.Tests;

/// <summary>An auth client on a scripted kernel: the test is the auth server.</summary>
internal sealed class AuthHarness : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ErrorLogSet _logs = new(TimeProvider.System, new LogFiles(), "test");
    private readonly AuthHttpClient _auth;

    public AuthHarness(AuthHttpSettings? settings = null, int maxConnections = int.MaxValue)
    {
        Script = new ScriptedLoop(maxConnections);
        ErrorLogSettings target = new() { Kind = ErrorLogTargetKind.File, Path = _folder.File("log"), Level = LogLevel.Info };
        if (!_logs.TryOpen([target], out ErrorLog? log, out string? error))
        {
            throw new InvalidOperationException(error);
        }

        _auth = new AuthHttpClient(Script.Loop, settings ?? Settings);
        (Client, ClientSocket) = Script.Accept();
        Context = new SessionLogContext { Log = log, ConnectionNumber = 7, Client = "192.0.2.55", Server = "0.0.0.0:143", Action = LogActions.HttpAuth };
    }

    public static AuthHttpSettings Settings { get; } = new()
    {
        Address = EndpointAddress.TryParseIP("127.0.0.1", 9000)!,
        Host = "auth.example.test",
        Uri = "/auth",
        Timeout = TimeSpan.FromSeconds(60),
    };

    public ScriptedLoop Script { get; }

    public Connection Client { get; }

    public ScriptedSocket ClientSocket { get; }

    public SessionLogContext Context { get; }

    public Credentials Credentials { get; set; } = Plain("user", "secret");

    /// <summary>The last answer; null while there is none.</summary>
    public AuthDecision? Decision { get; private set; }

    public ConnectionEndedException? Ended { get; private set; }

    public static Credentials Plain(string login, string password) =>
        new(AuthMethod.Plain, Encoding.Latin1.GetBytes(login), Encoding.Latin1.GetBytes(password), []);

    /// <summary>The auth server's end of the n-th connection.</summary>
    public ScriptedSocket Server(int index) => Script.Kernel.Connected[index];

    public void Ask(AuthRequest? request = null)
    {
        Decision = null;
        _ = AskAsync(request ?? Request());
        Script.Settle();
    }

    public AuthRequest Request() => new()
    {
        Protocol = "imap",
        LoginAttempt = 1,
        ClientAddress = "192.0.2.55",
        NeedsPassword = true,
        Client = Client,
    };

    /// <summary>Asks, answers on the n-th connection, and returns the request.</summary>
    public string Exchange(int connection, string response)
    {
        Ask();
        string request = Server(connection).TakeText();
        Server(connection).Arrive(response);
        Script.Settle();
        return request;
    }

    /// <summary>The messages logged so far, without time and process, and without the session's tail.</summary>
    public string[] Log()
    {
        string text = Encoding.Latin1.GetString(File.ReadAllBytes(_folder.File("log")));
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Strip)];
    }

    public void Dispose()
    {
        Script.Dispose();
        _logs.Dispose();
        _folder.Dispose();
    }

    private static string Strip(string line)
    {
        string level = line[line.IndexOf('[', StringComparison.Ordinal)..(line.IndexOf(']', StringComparison.Ordinal) + 1)];
        string message = line[(line.IndexOf("*7 ", StringComparison.Ordinal) + 3)..];
        int tail = message.IndexOf(" while in http auth state, client: 192.0.2.55, server: 0.0.0.0:143", StringComparison.Ordinal);
        return $"{level} {(tail < 0 ? "NO TAIL " + message : message[..tail])}";
    }

    private async Task AskAsync(AuthRequest request)
    {
        try
        {
            Decision = await _auth.DecideAsync(request, Credentials, Context);
        }
        catch (ConnectionEndedException e)
        {
            Ended = e;
        }
    }
}
