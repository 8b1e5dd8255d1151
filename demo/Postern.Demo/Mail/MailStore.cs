using System.Globalization;
using System.Text;

namespace Postern.Demo.Mail;

/// <summary>One user's mailboxes, shared by the user's sessions.</summary>
internal sealed class MailStore
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, Mailbox> _mailboxes = new(StringComparer.Ordinal);

    /// <summary>A new user's store: an INBOX with some mail, and empty Sent, Drafts and Trash.</summary>
    public static MailStore WithWelcome(string user)
    {
        var store = new MailStore();
        Mailbox inbox = store.Create("INBOX")!;
        foreach (string name in new[] { "Drafts", "Sent", "Trash" })
        {
            store.Create(name);
        }

        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        Add("Postern <postern@demo.test>", "Welcome to postern", "You are reading this through a mail proxy.", 3);
        Add("Alice <alice@demo.test>", "Tea at four", "Bring a clock that works.", 2);
        Add("Bob <bob@demo.test>", "Can we fix it?", "Yes, we can.", 1);
        return store;

        void Add(string from, string subject, string text, int hoursAgo)
        {
            DateTimeOffset when = now.AddHours(-hoursAgo);
            string message =
                $"""
                Date: {when.ToString("ddd, dd MMM yyyy HH:mm:ss", CultureInfo.InvariantCulture)} +0000
                From: {from}
                To: {user}@demo.test
                Subject: {subject}
                Message-ID: <{hoursAgo}.{user}@demo.test>
                MIME-Version: 1.0
                Content-Type: text/plain; charset=utf-8

                {text}

                """.ReplaceLineEndings("\r\n");
            inbox.Append(Encoding.UTF8.GetBytes(message), [], when);
        }
    }

    /// <summary>The mailbox of that name; INBOX in any letter case (RFC 3501 section 5.1).</summary>
    public Mailbox? Find(string name)
    {
        lock (_lock)
        {
            return _mailboxes.GetValueOrDefault(Canonical(name));
        }
    }

    /// <summary>A new mailbox, or null when there is one of that name.</summary>
    public Mailbox? Create(string name)
    {
        lock (_lock)
        {
            var mailbox = new Mailbox(Canonical(name));
            return _mailboxes.TryAdd(mailbox.Name, mailbox) ? mailbox : null;
        }
    }

    public IReadOnlyList<string> Names()
    {
        lock (_lock)
        {
            return [.. _mailboxes.Keys];
        }
    }

    private static string Canonical(string name) => name.Equals("INBOX", StringComparison.OrdinalIgnoreCase) ? "INBOX" : name;
}
