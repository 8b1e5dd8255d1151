using System.Text;

namespace Postern.TestKit.Hostile;

/// <summary>How a protocol says what the hostile tests need, so that one test covers all three.</summary>
public sealed record Dialect
{
    /// <summary><c>imap</c>, <c>pop3</c> or <c>smtp</c>.</summary>
    public required string Protocol { get; init; }

    public required string Greeting { get; init; }

    /// <summary>The command that begins TLS, and its go-ahead.</summary>
    public required string StartTls { get; init; }

    public required string GoAhead { get; init; }

    /// <summary>A command whose reply is told apart from any other's.</summary>
    public required string Marker { get; init; }

    public required string MarkerReply { get; init; }

    public required string Invalid { get; init; }

    public required string InternalError { get; init; }

    /// <summary>Signs in as <c>user</c> with <c>pass</c>.</summary>
    public string SignIn => SignInAs("user", "pass");

    /// <summary>What a client hears before its sign-in is judged.</summary>
    public string SignInPrompts { get; init; } = "";

    /// <summary>The backend's replies in a sign-in that succeeds, in order.</summary>
    public required IReadOnlyList<string> BackendReplies { get; init; }

    /// <summary>How the reply begins that only a joined client hears.</summary>
    public required string Joined { get; init; }

    /// <summary>How the reply to a login begins that the auth server has refused.</summary>
    public required string RefusedStart { get; init; }

    /// <summary>Things an attacker would like to have executed inside the victim's TLS session.</summary>
    public required IReadOnlyList<string> Injections { get; init; }

    public static Dialect Of(string protocol) => protocol switch
    {
        "imap" => Imap,
        "pop3" => Pop3,
        _ => Smtp,
    };

    /// <summary>The commands of a sign-in with a password.</summary>
    public string SignInAs(string login, string password) => Protocol switch
    {
        "imap" => $"a LOGIN {login} {password}\r\n",
        "pop3" => $"USER {login}\r\nPASS {password}\r\n",
        _ => $"AUTH PLAIN {Convert.ToBase64String(Text.Bytes($"\0{login}\0{password}"))}\r\n",
    };

    private static Dialect Imap { get; } = new()
    {
        Protocol = "imap",
        Greeting = "* OK IMAP4 ready\r\n",
        StartTls = "a STARTTLS\r\n",
        GoAhead = "a OK completed\r\n",
        Marker = "marker NOOP\r\n",
        MarkerReply = "marker OK completed\r\n",
        Invalid = "* BAD invalid command\r\n",
        InternalError = "* BAD internal server error\r\n",
        BackendReplies = ["* OK hello\r\n", "a OK in\r\n"],
        Joined = "a OK",
        RefusedStart = "a NO ",
        Injections =
        [
            "inj NOOP\r\n", "inj LOGIN evil evil\r\n", "inj LOGIN evil evil\r\ninj APPEND INBOX {400+}\r\n", "inj NO",
            "inj LOGIN {5+}\r\nab", "inj LOGIN {5}\r\n", "inj AUTHENTICATE PLAIN\r\n", "inj AUTHENTICATE LOGIN\r\nZXZpbA==\r\n",
            "inj STARTTLS\r\n", "inj LOGIN \"evil", Repeat("inj NOOP\r\n", 2000),
        ],
    };

    private static Dialect Pop3 { get; } = new()
    {
        Protocol = "pop3",
        Greeting = "+OK POP3 ready",
        StartTls = "STLS\r\n",
        GoAhead = "+OK\r\n",
        Marker = "CAPA\r\n",
        MarkerReply = "+OK Capability list follows\r\nSASL PLAIN LOGIN CRAM-MD5 EXTERNAL\r\n.\r\n",
        Invalid = "-ERR invalid command\r\n",
        InternalError = "-ERR internal server error\r\n",
        SignInPrompts = "+OK\r\n",
        BackendReplies = ["+OK hello\r\n", "+OK\r\n", "+OK in\r\n"],
        Joined = "+OK in",
        RefusedStart = "-ERR ",
        Injections =
        [
            "CAPA\r\n", "NOOP\r\n", "USER evil\r\n", "USER evil\r\nPASS evil\r\n", "CA", "AUTH PLAIN\r\n", "AUTH LOGIN\r\nZXZpbA==\r\n",
            "STLS\r\n", "USER ev", Repeat("NOOP\r\n", 100), Repeat("NOOP\r\n", 4000),
        ],
    };

    private static Dialect Smtp { get; } = new()
    {
        Protocol = "smtp",
        Greeting = "220 mx.example.test ESMTP ready\r\n",
        StartTls = "STARTTLS\r\n",
        GoAhead = "220 2.0.0 Start TLS\r\n",
        Marker = "HELO marker\r\n",
        MarkerReply = "250 mx.example.test\r\n",
        Invalid = "500 5.5.1 Invalid command\r\n",
        InternalError = "451 4.3.2 Internal server error\r\n",
        BackendReplies = ["220 hello\r\n", "250-mx\r\n250 XCLIENT\r\n", "220 again\r\n"],
        Joined = "235 ",
        RefusedStart = "535 ",
        Injections =
        [
            "EHLO evil\r\n", "NOOP\r\n", "MAIL FROM:<evil>\r\n", "AUTH PLAIN AGV2aWwAZXZpbA==\r\nMAIL FROM:<evil>\r\nRCPT TO:<evil>\r\nDATA\r\n",
            "HEL", "AUTH PLAIN\r\n", "AUTH LOGIN\r\nZXZpbA==\r\n", "STARTTLS\r\n", "MAIL FROM:<ev", Repeat("NOOP\r\n", 4000),
        ],
    };

    private static string Repeat(string text, int count) => new StringBuilder(text.Length * count).Insert(0, text, count).ToString();
}
