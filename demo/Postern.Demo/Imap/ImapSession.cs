using System.Globalization;
using System.Text;
using Postern.Demo.Mail;

namespace Postern.Demo.Imap;

/// <summary>One client's conversation with the demonstration server.</summary>
internal sealed partial class ImapSession(DemoMail mail, LineStream stream)
{
    private const string Capabilities = "IMAP4rev1 LITERAL+ IDLE ID UIDPLUS UNSELECT";

    private readonly ImapReader _reader = new(stream);
    private readonly StringBuilder _output = new();
    private MailStore? _store;
    private Mailbox? _mailbox;
    private bool _readOnly;
    private bool _loggedOut;

    /// <summary>What the client has been told of the selected mailbox; sequence numbers count in here.</summary>
    private List<DemoMessage> _view = [];

    public async Task RunAsync(CancellationToken stop)
    {
        Line($"* OK [CAPABILITY {Capabilities}] Postern demo server ready");
        while (!_loggedOut)
        {
            await FlushAsync(stop);
            try
            {
                ImapCommand? command = await _reader.ReadCommandAsync(stop);
                if (command is null)
                {
                    return;
                }

                await AnswerAsync(command, stop);
            }
            catch (ImapSyntaxException e)
            {
                Line($"{e.Tag} BAD {e.Message}");
            }
        }

        await FlushAsync(stop);
    }

    private async Task AnswerAsync(ImapCommand command, CancellationToken stop)
    {
        try
        {
            if (command.Name == "IDLE" && _store is not null)
            {
                await IdleAsync(command, stop);
                return;
            }

            string result = Execute(command);
            Announce();
            Line($"{command.Tag} {result}");
        }
        catch (Exception e) when (e is FormatException or ArgumentOutOfRangeException)
        {
            Line($"{command.Tag} BAD bad arguments");
        }
    }

    /// <summary>Carries the command out and returns its tagged result.</summary>
    private string Execute(ImapCommand command)
    {
        switch (command.Name)
        {
            case "CAPABILITY":
                Line($"* CAPABILITY {Capabilities}");
                return "OK done";
            case "NOOP" or "CHECK":
                return "OK done";
            case "ID":
                Line("* ID (\"name\" \"postern demo\")");
                return "OK done";
            case "LOGOUT":
                Line("* BYE see you");
                _loggedOut = true;
                return "OK done";
            case "LOGIN":
                return Login(command);
        }

        if (_store is null)
        {
            return "NO log in first";
        }

        return command.Name switch
        {
            "LIST" or "LSUB" => List(command),
            "SELECT" or "EXAMINE" => Select(command),
            "STATUS" => Status(command),
            "CREATE" => _store.Create(Argument(command, 0)) is null ? "NO [ALREADYEXISTS] it exists" : "OK created",
            "SUBSCRIBE" or "UNSUBSCRIBE" => "OK done",
            "APPEND" => Append(command),
            "FETCH" or "STORE" or "SEARCH" or "EXPUNGE" or "CLOSE" or "UNSELECT" => InMailbox(command.Name, command.Arguments, byUid: false),
            "UID" => InMailbox(Argument(command, 0).ToUpperInvariant(), [.. command.Arguments.Skip(1)], byUid: true),
            _ => "BAD unknown command",
        };
    }

    private string Login(ImapCommand command)
    {
        if (_store is not null)
        {
            return "BAD already logged in";
        }

        _store = mail.Open(Argument(command, 0), Argument(command, 1));
        return _store is null ? "NO [AUTHENTICATIONFAILED] wrong user or password" : $"OK [CAPABILITY {Capabilities}] logged in";
    }

    private string List(ImapCommand command)
    {
        string pattern = Argument(command, 0) + Argument(command, 1);
        if (pattern.Length == 0)
        {
            Line($@"* {command.Name} (\Noselect) ""/"" """"");
            return "OK done";
        }

        foreach (string name in _store!.Names().Where(name => Fits(name, pattern)))
        {
            Line($@"* {command.Name} (\HasNoChildren) ""/"" {MessageParts.String(name)}");
        }

        return "OK done";
    }

    // The names here have no hierarchy, so that % and * are the same.
    private static bool Fits(string name, string pattern)
    {
        if (pattern.Length == 0)
        {
            return name.Length == 0;
        }

        return pattern[0] is '*' or '%'
            ? Enumerable.Range(0, name.Length + 1).Any(skip => Fits(name[skip..], pattern[1..]))
            : name.Length > 0 && name[0] == pattern[0] && Fits(name[1..], pattern[1..]);
    }

    private string Select(ImapCommand command)
    {
        _mailbox = null;
        _view = [];
        if (_store!.Find(Argument(command, 0)) is not { } mailbox)
        {
            return "NO [NONEXISTENT] no such mailbox";
        }

        _mailbox = mailbox;
        _readOnly = command.Name == "EXAMINE";
        _view = [.. mailbox.Messages];
        Line(@"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)");
        Line(@"* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] flags are kept");
        Line($"* {_view.Count} EXISTS");
        Line("* 0 RECENT");
        Line($"* OK [UIDVALIDITY {Mailbox.UidValidity}] valid");
        Line($"* OK [UIDNEXT {mailbox.NextUid}] next");
        return _readOnly ? "OK [READ-ONLY] selected" : "OK [READ-WRITE] selected";
    }

    private string Status(ImapCommand command)
    {
        if (_store!.Find(Argument(command, 0)) is not { } mailbox)
        {
            return "NO [NONEXISTENT] no such mailbox";
        }

        IReadOnlyList<DemoMessage> messages = mailbox.Messages;
        IEnumerable<string> items = command.Arguments.ElementAtOrDefault(1)?.Each.Select(item => item.Text.ToUpperInvariant()) ?? [];
        IEnumerable<string> values = items.Select(item => item switch
        {
            "MESSAGES" => $"MESSAGES {messages.Count}",
            "UIDNEXT" => $"UIDNEXT {mailbox.NextUid}",
            "UIDVALIDITY" => $"UIDVALIDITY {Mailbox.UidValidity}",
            "UNSEEN" => $"UNSEEN {messages.Count(message => !message.Flags.Contains(@"\Seen"))}",
            "RECENT" => "RECENT 0",
            _ => throw new FormatException("unknown status item"),
        });
        Line($"* STATUS {MessageParts.String(mailbox.Name)} ({string.Join(' ', values)})");
        return "OK done";
    }

    private string Append(ImapCommand command)
    {
        if (_store!.Find(Argument(command, 0)) is not { } mailbox)
        {
            return "NO [TRYCREATE] no such mailbox";
        }

        IReadOnlyList<string> flags = [];
        DateTimeOffset arrived = TimeProvider.System.GetUtcNow();
        foreach (ImapValue value in command.Arguments.Skip(1).SkipLast(1))
        {
            if (value.Items is { } items)
            {
                flags = [.. items.Select(item => item.Text)];
            }
            else
            {
                arrived = DateTimeOffset.ParseExact(value.Text.TrimStart(), "d-MMM-yyyy HH:mm:ss zzz", CultureInfo.InvariantCulture);
            }
        }

        byte[] content = Encoding.Latin1.GetBytes(command.Arguments.Count > 1 ? command.Arguments[^1].Text : throw new FormatException("no message"));
        DemoMessage message = mailbox.Append(content, flags, arrived);
        return $"OK [APPENDUID {Mailbox.UidValidity} {message.Uid}] appended";
    }

    private async Task IdleAsync(ImapCommand command, CancellationToken stop)
    {
        Line("+ idling");
        Task<string?> done = stream.ReadLineAsync(stop);
        while (!done.IsCompleted)
        {
            // Asked for before looking, so that no change falls in between.
            Task changed = _mailbox?.Changed ?? Task.Delay(Timeout.Infinite, stop);
            Announce();
            await FlushAsync(stop);
            await Task.WhenAny(done, changed);
        }

        string? line = await done;
        Line(line is not null && line.Equals("DONE", StringComparison.OrdinalIgnoreCase) ? $"{command.Tag} OK done" : $"{command.Tag} BAD expected DONE");
    }

    /// <summary>Tells the client what has changed in the selected mailbox since it was last told.</summary>
    private void Announce()
    {
        if (_mailbox is null)
        {
            return;
        }

        IReadOnlyList<DemoMessage> now = _mailbox.Messages;
        for (int i = _view.Count - 1; i >= 0; i--)
        {
            if (!now.Contains(_view[i]))
            {
                Line($"* {i + 1} EXPUNGE");
                _view.RemoveAt(i);
            }
        }

        if (now.Count > _view.Count)
        {
            _view = [.. now];
            Line($"* {_view.Count} EXISTS");
        }
    }

    private static string Argument(ImapCommand command, int index) =>
        index < command.Arguments.Count && !command.Arguments[index].IsList ? command.Arguments[index].Text : throw new FormatException("an argument is missing");

    private void Line(string text) => _output.Append(text).Append("\r\n");

    private async Task FlushAsync(CancellationToken stop)
    {
        string text = _output.ToString();
        _output.Clear();
        await stream.WriteAsync(text, stop);
    }
}
