using System.Text;

namespace Postern.Demo;

/// <summary>The messages the demo's mailboxes begin with.</summary>
internal static class DemoMessages
{
    public static byte[] Welcome(string user) => Message(user, "Welcome to postern", "<welcome@postern.example>", $"""
        Hello {user},

        this message came through postern: your client spoke TLS to the proxy, the proxy asked an
        auth server who you are, logged you in at this small IMAP server, and has been
        copying bytes ever since.
        """);

    public static byte[] HowItWorks(string user) => Message(user, "What to try next", "<next@postern.example>", """
        Try a wrong password, or STARTTLS on the other port, and watch the terminal
        in which the demo runs: it prints one line for each login.
        """);

    private static byte[] Message(string user, string subject, string id, string body)
    {
        string text = $"""
            From: postern <postern@postern.example>
            To: {user}@postern.example
            Subject: {subject}
            Date: Sun, 22 Nov 2026 12:00:00 +0000
            Message-ID: {id}
            MIME-Version: 1.0
            Content-Type: text/plain; charset=utf-8

            {body}

            """;
        return Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\r\n"));
    }
}
