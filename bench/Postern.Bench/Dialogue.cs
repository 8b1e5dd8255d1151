using System.Text;

namespace Postern.Bench;

/// <summary>A command line and what the last line of its reply begins with.</summary>
/// <param name="Line">CRLF included.</param>
/// <param name="Reply">Anything else is a failure.</param>
internal sealed record Exchange(byte[] Line, byte[] Reply)
{
    public Exchange(string line, string reply)
        : this(Encoding.ASCII.GetBytes(line + "\r\n"), Encoding.ASCII.GetBytes(reply))
    {
    }
}

/// <summary>What a client of one protocol says; every reply it gets is short and one at a time.</summary>
internal sealed record Dialogue
{
    public const int MessageLineBytes = 78;

    /// <summary>IMAP (RFC 9051).</summary>
    public static Dialogue Imap { get; } = new()
    {
        Greeting = "* OK"u8.ToArray(),
        Login = [new("a LOGIN \"user@example.org\" \"secret\"", "a OK")],
        Ping = new("a NOOP", "a OK"),
        LogOut = new("a LOGOUT", "a OK"),
    };

    /// <summary>POP3 (RFC 1939).</summary>
    public static Dialogue Pop3 { get; } = new()
    {
        Greeting = "+OK"u8.ToArray(),
        Login = [new("USER user@example.org", "+OK"), new("PASS secret", "+OK")],
        Ping = new("NOOP", "+OK"),
        LogOut = new("QUIT", "+OK"),
    };

    /// <summary>Submission: AUTH PLAIN with initial response (RFC 4954).</summary>
    public static Dialogue Smtp { get; } = new()
    {
        Greeting = "220 "u8.ToArray(),
        Login =
        [
            new("EHLO client.example.org", "250 "),
            new("AUTH PLAIN " + Convert.ToBase64String("\0user@example.org\0secret"u8), "235 "),
        ],
        Ping = new("NOOP", "250 "),
        LogOut = new("QUIT", "221 "),
        Envelope =
        [
            new("MAIL FROM:<user@example.org>", "250 "),
            new("RCPT TO:<someone@example.com>", "250 "),
            new("DATA", "354 "),
        ],
        Accepted = "250 "u8.ToArray(),
    };

    /// <summary>Begins the greeting.</summary>
    public required byte[] Greeting { get; init; }

    public required IReadOnlyList<Exchange> Login { get; init; }

    public required Exchange Ping { get; init; }

    /// <summary>Its reply is followed by the end of the connection.</summary>
    public required Exchange LogOut { get; init; }

    /// <summary>SMTP: from MAIL to DATA.</summary>
    public IReadOnlyList<Exchange> Envelope { get; init; } = [];

    /// <summary>SMTP: begins the reply to a whole message.</summary>
    public byte[] Accepted { get; init; } = [];

    /// <summary>Whether the line is one of several: IMAP's untagged responses, SMTP's <c>250-</c>.</summary>
    public static bool IsContinued(ReadOnlySpan<byte> line) =>
        line.StartsWith("* "u8) || (line.Length > 3 && char.IsAsciiDigit((char)line[0]) && line[3] == (byte)'-');

    /// <summary>Fills a buffer with lines of a message, as many whole ones as it takes.</summary>
    /// <returns>Bytes filled.</returns>
    public static int FillWithLines(Span<byte> target)
    {
        target.Fill((byte)'x');
        int end = 0;
        for (; end + MessageLineBytes <= target.Length; end += MessageLineBytes)
        {
            "\r\n"u8.CopyTo(target[(end + MessageLineBytes - 2)..]);
        }

        return end;
    }
}
