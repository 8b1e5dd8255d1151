namespace Postern.Demo.Mail;

/// <summary>One message; the content never changes, the flags are replaced as a whole.</summary>
internal sealed record DemoMessage(uint Uid, byte[] Content, DateTimeOffset Arrived)
{
    public IReadOnlyList<string> Flags { get; set; } = [];
}

/// <summary>Messages in the order of their arrival. Safe to use from several sessions at once.</summary>
internal sealed class Mailbox(string name)
{
    private readonly Lock _lock = new();
    private readonly List<DemoMessage> _messages = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private uint _nextUid = 1;

    public string Name { get; } = name;

    /// <summary>Mail is lost with the process, so that clients must not trust what they keep: RFC 3501 section 2.3.1.1.</summary>
    public static uint UidValidity { get; } = (uint)TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    public uint NextUid
    {
        get
        {
            lock (_lock)
            {
                return _nextUid;
            }
        }
    }

    /// <summary>Completes at the next change.</summary>
    public Task Changed
    {
        get
        {
            lock (_lock)
            {
                return _changed.Task;
            }
        }
    }

    public IReadOnlyList<DemoMessage> Messages
    {
        get
        {
            lock (_lock)
            {
                return [.. _messages];
            }
        }
    }

    public DemoMessage Append(byte[] content, IReadOnlyList<string> flags, DateTimeOffset arrived)
    {
        lock (_lock)
        {
            var message = new DemoMessage(_nextUid++, content, arrived) { Flags = flags };
            _messages.Add(message);
            Announce();
            return message;
        }
    }

    /// <summary>Removes every message with the \Deleted flag.</summary>
    public void Expunge() => Remove(message => message.Flags.Contains(@"\Deleted"));

    /// <summary>Removes the messages with these UIDs, as far as they are still there.</summary>
    public void Remove(IReadOnlySet<uint> uids) => Remove(message => uids.Contains(message.Uid));

    private void Remove(Predicate<DemoMessage> match)
    {
        lock (_lock)
        {
            if (_messages.RemoveAll(match) > 0)
            {
                Announce();
            }
        }
    }

    private void Announce()
    {
        _changed.TrySetResult();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
