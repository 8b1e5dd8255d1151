using System.Globalization;

namespace Postern.Demo;

/// <summary>A small IMAP4rev1 server in memory (RFC 3501), enough for mail clients to log in, look around, read and store.</summary>
public sealed class DemoImapServer : IDisposable
{
    internal const string Capability = "IMAP4rev1 LITERAL+ IDLE UIDPLUS";

    private readonly LineListener _listener;

    private DemoImapServer(DemoUsers users)
    {
        _listener = new LineListener((stream, stop) => new DemoImapConversation(stream, users, stop).RunAsync());
    }

    /// <summary>Port on 127.0.0.1.</summary>
    public int Port => _listener.Port;

    public static DemoImapServer Start(DemoUsers users) => new(users);

    public void Dispose() => _listener.Dispose();
}

/// <summary>One client of the demo's IMAP server.</summary>
internal sealed class DemoImapConversation(LineStream stream, DemoUsers users, CancellationToken stop)
{
    private DemoUser? _user;
    private DemoMailbox? _selected;

    public async Task RunAsync()
    {
        await SayAsync($"* OK [CAPABILITY {DemoImapServer.Capability}] demo server ready").ConfigureAwait(false);
        while (await DemoImapTokens.ReadAsync(stream, stop).ConfigureAwait(false) is { } tokens)
        {
            if (tokens.Count < 2)
            {
                await SayAsync((tokens.Count == 0 ? "*" : tokens[0].Text) + " BAD no command").ConfigureAwait(false);
                continue;
            }

            string verb = tokens[1].Text.ToUpperInvariant();
            string result = await AnswerAsync(verb, tokens, 2).ConfigureAwait(false);
            await SayAsync($"{tokens[0].Text} {result}").ConfigureAwait(false);
            if (verb == "LOGOUT")
            {
                return;
            }
        }
    }

    /// <returns>The tagged reply without its tag.</returns>
    private async ValueTask<string> AnswerAsync(string verb, List<DemoImapToken> tokens, int at)
    {
        switch (verb)
        {
            case "CAPABILITY":
                await SayAsync("* CAPABILITY " + DemoImapServer.Capability).ConfigureAwait(false);
                return "OK done";
            case "NOOP" or "CHECK":
                return "OK done";
            case "LOGOUT":
                await SayAsync("* BYE see you").ConfigureAwait(false);
                return "OK done";
            case "LOGIN" when _user is null && tokens.Count == at + 2:
                _user = users.SignIn(tokens[at].Text, tokens[at + 1].Text);
                return _user is null
                    ? "NO [AUTHENTICATIONFAILED] invalid login or password"
                    : $"OK [CAPABILITY {DemoImapServer.Capability}] logged in";
            default:
                return _user is null ? "BAD log in first" : await AnswerUserAsync(verb, tokens, at, byUid: false).ConfigureAwait(false);
        }
    }

    private async ValueTask<string> AnswerUserAsync(string verb, List<DemoImapToken> tokens, int at, bool byUid)
    {
        switch (verb)
        {
            case "UID" when tokens.Count > at:
                return await AnswerUserAsync(tokens[at].Text.ToUpperInvariant(), tokens, at + 1, byUid: true).ConfigureAwait(false);
            case "LIST" or "LSUB":
                return await ListAsync(verb, tokens, at).ConfigureAwait(false);
            case "SELECT" or "EXAMINE" when tokens.Count > at:
                return await SelectAsync(verb, tokens[at].Text).ConfigureAwait(false);
            case "STATUS" when tokens.Count > at:
                return await StatusAsync(tokens[at].Text).ConfigureAwait(false);
            case "CREATE" or "SUBSCRIBE" when tokens.Count > at:
                _ = _user!.Mailbox(tokens[at].Text, create: true);
                return "OK done";
            case "APPEND" when tokens.Count > at + 1:
                return Append(tokens, at);
            case "IDLE":
                await SayAsync("+ idling").ConfigureAwait(false);
                _ = await stream.ReadLineAsync(stop).ConfigureAwait(false);
                return "OK done";
            default:
                return _selected is null ? "BAD unknown command, or no mailbox selected" : await AnswerSelectedAsync(verb, tokens, at, byUid).ConfigureAwait(false);
        }
    }

    private async ValueTask<string> AnswerSelectedAsync(string verb, List<DemoImapToken> tokens, int at, bool byUid)
    {
        switch (verb)
        {
            case "CLOSE" or "UNSELECT":
                _selected = null;
                return "OK done";
            case "EXPUNGE":
                foreach (int number in _selected!.Expunge())
                {
                    await SayAsync(string.Create(CultureInfo.InvariantCulture, $"* {number} EXPUNGE")).ConfigureAwait(false);
                }

                return "OK done";
            case "SEARCH":
                string found = string.Join(' ', Chosen("1:*", byUid: false).Select(each => byUid ? each.Message.Uid : each.Number));
                await SayAsync(("* SEARCH " + found).TrimEnd()).ConfigureAwait(false);
                return "OK done";
            case "FETCH" when tokens.Count > at + 1:
                List<string> items = [.. tokens.Skip(at + 1).Where(token => token.Text is not ("(" or ")")).Select(token => token.Text)];
                if (byUid && !items.Contains("UID", StringComparer.OrdinalIgnoreCase))
                {
                    items.Insert(0, "UID");
                }

                foreach ((int number, DemoMessage message) in Chosen(tokens[at].Text, byUid))
                {
                    await stream.WriteAsync(DemoImapFetch.Respond(number, message, items), stop).ConfigureAwait(false);
                }

                return "OK done";
            case "STORE" when tokens.Count > at + 2:
                await StoreAsync(tokens, at, byUid).ConfigureAwait(false);
                return "OK done";
            default:
                return "BAD unknown command";
        }
    }

    private async ValueTask<string> ListAsync(string verb, List<DemoImapToken> tokens, int at)
    {
        string pattern = tokens.Count > at + 1 ? tokens[at + 1].Text : "*";
        if (pattern.Length == 0)
        {
            await SayAsync($"* {verb} (\\Noselect) \"/\" \"\"").ConfigureAwait(false);
            return "OK done";
        }

        foreach (string name in _user!.MailboxNames.Where(name => pattern is "*" or "%" || name.Equals(pattern, StringComparison.OrdinalIgnoreCase)))
        {
            await SayAsync($"* {verb} () \"/\" \"{name}\"").ConfigureAwait(false);
        }

        return "OK done";
    }

    private async ValueTask<string> SelectAsync(string verb, string name)
    {
        _selected = _user!.Mailbox(name);
        if (_selected is null)
        {
            return "NO [NONEXISTENT] no such mailbox";
        }

        await SayAsync("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)").ConfigureAwait(false);
        await SayAsync(string.Create(CultureInfo.InvariantCulture, $"* {_selected.Snapshot().Length} EXISTS")).ConfigureAwait(false);
        await SayAsync("* 0 RECENT").ConfigureAwait(false);
        await SayAsync("* OK [UIDVALIDITY 1] valid").ConfigureAwait(false);
        await SayAsync(string.Create(CultureInfo.InvariantCulture, $"* OK [UIDNEXT {_selected.NextUid}] next")).ConfigureAwait(false);
        return verb == "SELECT" ? "OK [READ-WRITE] done" : "OK [READ-ONLY] done";
    }

    private async ValueTask<string> StatusAsync(string name)
    {
        if (_user!.Mailbox(name) is not { } mailbox)
        {
            return "NO [NONEXISTENT] no such mailbox";
        }

        DemoMessage[] messages = mailbox.Snapshot();
        int unseen = messages.Count(message => !message.Flags.Contains("\\Seen"));
        await SayAsync(string.Create(
            CultureInfo.InvariantCulture,
            $"* STATUS \"{name}\" (MESSAGES {messages.Length} RECENT 0 UIDNEXT {mailbox.NextUid} UIDVALIDITY 1 UNSEEN {unseen})")).ConfigureAwait(false);
        return "OK done";
    }

    private string Append(List<DemoImapToken> tokens, int at)
    {
        if (_user!.Mailbox(tokens[at].Text) is not { } mailbox)
        {
            return "NO [TRYCREATE] no such mailbox";
        }

        IEnumerable<string> flags = tokens.Skip(at + 1).Where(token => token.Text.StartsWith('\\') && !token.IsString).Select(token => token.Text);
        DemoMessage message = mailbox.Append(System.Text.Encoding.Latin1.GetBytes(tokens[^1].Text), flags);
        return string.Create(CultureInfo.InvariantCulture, $"OK [APPENDUID 1 {message.Uid}] stored");
    }

    private async ValueTask StoreAsync(List<DemoImapToken> tokens, int at, bool byUid)
    {
        string action = tokens[at + 1].Text.ToUpperInvariant();
        string[] flags = [.. tokens.Skip(at + 2).Where(token => token.Text is not ("(" or ")")).Select(token => token.Text)];
        foreach ((int number, DemoMessage message) in Chosen(tokens[at].Text, byUid))
        {
            if (action.StartsWith('-'))
            {
                message.Flags.ExceptWith(flags);
            }
            else
            {
                if (!action.StartsWith('+'))
                {
                    message.Flags.Clear();
                }

                message.Flags.UnionWith(flags);
            }

            if (!action.EndsWith(".SILENT", StringComparison.Ordinal))
            {
                await stream.WriteAsync(DemoImapFetch.Respond(number, message, byUid ? ["UID", "FLAGS"] : ["FLAGS"]), stop).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The messages of a sequence set: <c>1,3:5,7:*</c>.</summary>
    private IEnumerable<(int Number, DemoMessage Message)> Chosen(string set, bool byUid)
    {
        DemoMessage[] messages = _selected!.Snapshot();
        int last = messages.Length == 0 ? 0 : byUid ? messages[^1].Uid : messages.Length;
        List<(int From, int To)> ranges = [.. set.Split(',').Select(part =>
        {
            string[] ends = part.Split(':');
            int from = Number(ends[0]);
            int to = Number(ends[^1]);
            return (Math.Min(from, to), Math.Max(from, to));
        })];
        for (int i = 0; i < messages.Length; i++)
        {
            int key = byUid ? messages[i].Uid : i + 1;
            if (ranges.Exists(range => key >= range.From && key <= range.To))
            {
                yield return (i + 1, messages[i]);
            }
        }

        int Number(string text) => text == "*" ? last : int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
    }

    private ValueTask SayAsync(string line) => stream.WriteAsync(line + "\r\n", stop);
}
