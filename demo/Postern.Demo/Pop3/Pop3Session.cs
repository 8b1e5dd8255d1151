using System.Globalization;
using System.Text;
using Postern.Demo.Mail;

namespace Postern.Demo.Pop3;

/// <summary>One client's conversation with the demonstration server (RFC 1939; CAPA of RFC 2449).</summary>
internal sealed class Pop3Session(DemoMail mail, LineStream stream)
{
    private readonly HashSet<int> _deleted = [];
    private string? _user;
    private Mailbox? _inbox;

    /// <summary>The INBOX as it was at login: message numbers count in here.</summary>
    private IReadOnlyList<DemoMessage> _messages = [];

    public async Task RunAsync(CancellationToken stop)
    {
        await stream.WriteAsync("+OK Postern demo server ready\r\n", stop);
        while (await stream.ReadLineAsync(stop) is { } line)
        {
            string[] words = line.Split(' ', 2);
            string verb = words[0].ToUpperInvariant();
            await stream.WriteAsync(Answer(verb, words.ElementAtOrDefault(1) ?? ""), stop);
            if (verb == "QUIT")
            {
                return;
            }
        }
    }

    private string Answer(string verb, string argument)
    {
        switch (verb)
        {
            case "QUIT":
                Commit();
                return "+OK see you\r\n";
            case "CAPA":
                return Lines("capabilities follow", ["USER", "TOP", "UIDL", "PIPELINING"]);
            case "NOOP":
                return "+OK\r\n";
        }

        try
        {
            return _inbox is null ? Authorize(verb, argument) : Transact(verb, argument);
        }
        catch (FormatException e)
        {
            return $"-ERR {e.Message}\r\n";
        }
    }

    private string Authorize(string verb, string argument)
    {
        if (verb == "USER")
        {
            _user = argument;
            return "+OK and the password?\r\n";
        }

        if (verb != "PASS" || _user is null)
        {
            return "-ERR log in first\r\n";
        }

        _inbox = mail.Open(_user, argument)?.Find("INBOX");
        _user = null;
        if (_inbox is null)
        {
            return "-ERR [AUTH] wrong user or password\r\n";
        }

        _messages = _inbox.Messages;
        return $"+OK {_messages.Count} messages\r\n";
    }

    private string Transact(string verb, string argument)
    {
        switch (verb)
        {
            case "STAT":
                return $"+OK {Left().Count()} {Left().Sum(entry => entry.Message.Content.Length)}\r\n";
            case "LIST":
                return List(argument, message => message.Content.Length.ToString(CultureInfo.InvariantCulture));
            case "UIDL":
                return List(argument, message => $"{Mailbox.UidValidity}.{message.Uid}");
            case "RETR":
                return Lines("message follows", Split(Get(argument)));
            case "TOP":
                return Top(argument);
            case "DELE":
                _deleted.Add(Number(argument));
                return "+OK deleted\r\n";
            case "RSET":
                _deleted.Clear();
                return "+OK as before\r\n";
            default:
                return "-ERR unknown command\r\n";
        }
    }

    private string List(string argument, Func<DemoMessage, string> describe) =>
        argument.Length > 0
            ? $"+OK {Number(argument)} {describe(Get(argument))}\r\n"
            : Lines("list follows", Left().Select(entry => $"{entry.Number} {describe(entry.Message)}"));

    /// <summary>The header, the blank line and so many lines of the body.</summary>
    private string Top(string argument)
    {
        string[] numbers = argument.Split(' ');
        if (numbers.Length != 2 || !int.TryParse(numbers[1], NumberStyles.None, CultureInfo.InvariantCulture, out int count))
        {
            throw new FormatException("TOP needs a message and a number of lines");
        }

        string[] lines = Split(Get(numbers[0]));
        int blank = Array.IndexOf(lines, "");
        return Lines("top follows", blank < 0 ? lines : lines.Take(blank + 1 + count));
    }

    private IEnumerable<(int Number, DemoMessage Message)> Left() =>
        _messages.Select((message, i) => (Number: i + 1, message)).Where(entry => !_deleted.Contains(entry.Number));

    private DemoMessage Get(string argument) => _messages[Number(argument) - 1];

    private int Number(string argument) =>
        int.TryParse(argument, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number >= 1 && number <= _messages.Count && !_deleted.Contains(number)
            ? number
            : throw new FormatException("no such message");

    /// <summary>Only a session that ends with QUIT deletes (RFC 1939 section 6).</summary>
    private void Commit()
    {
        if (_deleted.Count > 0)
        {
            _inbox!.Remove(_deleted.Select(number => _messages[number - 1].Uid).ToHashSet());
        }
    }

    private static string[] Split(DemoMessage message)
    {
        string content = Encoding.Latin1.GetString(message.Content);
        return (content.EndsWith("\r\n", StringComparison.Ordinal) ? content[..^2] : content).Split("\r\n");
    }

    /// <summary>A multi-line response: lines that begin with a dot get another (RFC 1939 section 3).</summary>
    private static string Lines(string status, IEnumerable<string> lines)
    {
        var text = new StringBuilder($"+OK {status}\r\n");
        foreach (string line in lines)
        {
            text.Append(line.StartsWith('.') ? "." : "").Append(line).Append("\r\n");
        }

        return text.Append(".\r\n").ToString();
    }
}
