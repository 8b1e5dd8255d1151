using System.Collections.Concurrent;

namespace Postern.Demo;

/// <summary>The users of the demo, their passwords and mailboxes.</summary>
public sealed class DemoUsers
{
    private readonly ConcurrentDictionary<string, DemoUser> _users = new(StringComparer.Ordinal);

    /// <summary>Adds a user with an INBOX of a few messages.</summary>
    public void Add(string name, string password) => _users[name] = new DemoUser(name, password);

    /// <summary>The user, if the password is right; otherwise null.</summary>
    public DemoUser? SignIn(string name, string password) =>
        _users.TryGetValue(name, out DemoUser? user) && user.Password == password ? user : null;
}

/// <summary>One user.</summary>
public sealed class DemoUser
{
    private readonly ConcurrentDictionary<string, DemoMailbox> _mailboxes = new(StringComparer.OrdinalIgnoreCase);

    internal DemoUser(string name, string password)
    {
        Name = name;
        Password = password;
        DemoMailbox inbox = Mailbox("INBOX", create: true)!;
        inbox.Append(DemoMessages.Welcome(name), ["\\Seen"]);
        inbox.Append(DemoMessages.HowItWorks(name), []);
        _ = Mailbox("Sent", create: true);
    }

    public string Name { get; }

    internal string Password { get; }

    /// <summary>Names, in order.</summary>
    internal IEnumerable<string> MailboxNames => _mailboxes.Keys.Order(StringComparer.OrdinalIgnoreCase);

    /// <summary>A mailbox by name (INBOX in any case), made if wanted; otherwise null.</summary>
    internal DemoMailbox? Mailbox(string name, bool create = false) => create
        ? _mailboxes.GetOrAdd(name, static _ => new DemoMailbox())
        : _mailboxes.GetValueOrDefault(name);
}

/// <summary>A mailbox in memory. Thread-safe: each session works on snapshots.</summary>
internal sealed class DemoMailbox
{
    private readonly Lock _lock = new();
    private readonly List<DemoMessage> _messages = [];
    private int _nextUid = 1;

    public int NextUid
    {
        get
        {
            lock (_lock)
            {
                return _nextUid;
            }
        }
    }

    public DemoMessage[] Snapshot()
    {
        lock (_lock)
        {
            return [.. _messages];
        }
    }

    public DemoMessage Append(byte[] content, IEnumerable<string> flags)
    {
        lock (_lock)
        {
            var message = new DemoMessage(_nextUid++, content, TimeProvider.System.GetUtcNow(), flags);
            _messages.Add(message);
            return message;
        }
    }

    /// <summary>Takes out what is flagged deleted.</summary>
    /// <returns>The sequence numbers, each as it is when the ones before it are gone (RFC 3501 section 7.4.1).</returns>
    public List<int> Expunge()
    {
        lock (_lock)
        {
            List<int> gone = [];
            for (int i = 0; i < _messages.Count;)
            {
                if (_messages[i].Flags.Contains("\\Deleted"))
                {
                    _messages.RemoveAt(i);
                    gone.Add(i + 1);
                }
                else
                {
                    i++;
                }
            }

            return gone;
        }
    }
}

/// <summary>One message.</summary>
internal sealed class DemoMessage(int uid, byte[] content, DateTimeOffset received, IEnumerable<string> flags)
{
    public int Uid { get; } = uid;

    /// <summary>The whole message, CRLF line ends.</summary>
    public byte[] Content { get; } = content;

    public DateTimeOffset Received { get; } = received;

    public HashSet<string> Flags { get; } = new(flags, StringComparer.OrdinalIgnoreCase);
}
