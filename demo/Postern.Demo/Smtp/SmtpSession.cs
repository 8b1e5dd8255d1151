using System.Globalization;
using System.Text;

namespace Postern.Demo.Smtp;

/// <summary>One client's conversation with the demonstration server (RFC 5321, XCLIENT as Postfix has it).</summary>
internal sealed class SmtpSession(DemoMail mail, LineStream stream)
{
    private const string Name = DemoUser.Domain;

    // A message lies in memory.
    private const int MaxMessageBytes = 128 * 1024 * 1024;

    private static readonly string[] _clientFacts = ["ADDR", "NAME", "LOGIN", "HELO", "PORT", "PROTO"];

    private readonly List<DemoUser> _recipients = [];
    private readonly Dictionary<string, string> _client = new() { ["ADDR"] = "127.0.0.1", ["NAME"] = "localhost" };
    private string? _helo;
    private bool _extended;
    private string? _sender;

    public async Task RunAsync(CancellationToken stop)
    {
        await stream.WriteAsync(Greeting, stop);
        while (await stream.ReadLineAsync(stop) is { } line)
        {
            string[] words = line.Split(' ', 2);
            string verb = words[0].ToUpperInvariant();
            if (verb == "DATA" && _recipients.Count > 0)
            {
                await stream.WriteAsync("354 End data with <CR><LF>.<CR><LF>\r\n", stop);
                if (await ReadMessageAsync(stop) is not { } reply)
                {
                    return;
                }

                await stream.WriteAsync(reply, stop);
                continue;
            }

            await stream.WriteAsync(Answer(verb, words.ElementAtOrDefault(1) ?? ""), stop);
            if (verb == "QUIT")
            {
                return;
            }
        }
    }

    private static string Greeting => $"220 {Name} ESMTP postern demo\r\n";

    private string Answer(string verb, string argument)
    {
        switch (verb)
        {
            case "HELO" or "EHLO":
                Forget();
                _helo = argument;
                _extended = verb == "EHLO";
                return _extended ? Extensions : $"250 {Name}\r\n";
            case "XCLIENT":
                return TakeClient(argument);
            case "AUTH":
                return Authenticate(argument);
            case "MAIL":
                return TakeSender(argument);
            case "RCPT":
                return TakeRecipient(argument);
            case "DATA":
                return "503 5.5.1 No valid recipients\r\n";
            case "RSET":
                Forget();
                return "250 2.0.0 OK\r\n";
            case "NOOP":
                return "250 2.0.0 OK\r\n";
            case "VRFY":
                return "252 2.0.0 Send some mail, I'll try my best\r\n";
            case "QUIT":
                return "221 2.0.0 Bye\r\n";
            default:
                return "500 5.5.2 Unknown command\r\n";
        }
    }

    private static string Extensions =>
        $"""
        250-{Name}
        250-PIPELINING
        250-SIZE {MaxMessageBytes}
        250-AUTH PLAIN
        250-ENHANCEDSTATUSCODES
        250-8BITMIME
        250 XCLIENT {string.Join(' ', _clientFacts)}

        """.ReplaceLineEndings("\r\n");

    /// <summary>What a proxy says about its client; the session begins anew with a greeting.</summary>
    private string TakeClient(string argument)
    {
        foreach (string word in argument.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] fact = word.Split('=', 2);
            if (fact.Length != 2 || !_clientFacts.Contains(fact[0].ToUpperInvariant()))
            {
                return "501 5.5.4 Bad XCLIENT attribute\r\n";
            }

            _client[fact[0].ToUpperInvariant()] = Decode(fact[1]);
        }

        Forget();
        _helo = null;
        return Greeting;
    }

    private string Authenticate(string argument)
    {
        string[] words = argument.Split(' ');
        if (words.Length != 2 || !words[0].Equals("PLAIN", StringComparison.OrdinalIgnoreCase))
        {
            return "504 5.5.4 Only AUTH PLAIN with an initial response\r\n";
        }

        byte[] decoded = new byte[words[1].Length];
        if (!Convert.TryFromBase64String(words[1], decoded, out int length))
        {
            return "501 5.5.2 That is not base64\r\n";
        }

        string[] parts = Encoding.Latin1.GetString(decoded, 0, length).Split('\0');
        if (parts.Length != 3 || !mail.IsRight(parts[1], parts[2]))
        {
            return "535 5.7.8 Wrong user or password\r\n";
        }

        _client["LOGIN"] = parts[1];
        return "235 2.7.0 Welcome\r\n";
    }

    private string TakeSender(string argument)
    {
        if (_helo is null)
        {
            return "503 5.5.1 Say HELO first\r\n";
        }

        if (_sender is not null || AddressIn(argument, "FROM:") is not { } sender)
        {
            return _sender is not null ? "503 5.5.1 One sender at a time\r\n" : "501 5.1.7 Bad sender\r\n";
        }

        _sender = sender;
        return "250 2.1.0 OK\r\n";
    }

    private string TakeRecipient(string argument)
    {
        if (_sender is null)
        {
            return "503 5.5.1 Say MAIL first\r\n";
        }

        if (AddressIn(argument, "TO:") is not { } recipient)
        {
            return "501 5.1.3 Bad recipient\r\n";
        }

        if (mail.Find(recipient) is not { } user)
        {
            return "550 5.1.1 No such user here\r\n";
        }

        _recipients.Add(user);
        return "250 2.1.5 OK\r\n";
    }

    /// <summary>
    /// Reads to the line with a single dot and delivers. Only CRLF ends a line here: what one server takes for the end of a message
    /// and another does not can smuggle a second one (RFC 5321 section 4.1.1.4).
    /// </summary>
    /// <returns>The reply; null when the client closed.</returns>
    private async Task<string?> ReadMessageAsync(CancellationToken stop)
    {
        var message = new StringBuilder(Trace());
        bool tooLong = false;
        bool atStart = true;
        while (await stream.ReadWholeLineAsync(stop) is { } line)
        {
            if (atStart && line == ".\r\n")
            {
                return Deliver(tooLong ? null : message.ToString());
            }

            tooLong |= message.Length + line.Length > MaxMessageBytes;
            if (!tooLong)
            {
                message.Append(line, atStart && line[0] == '.' ? 1 : 0, line.Length - (atStart && line[0] == '.' ? 1 : 0));
            }

            atStart = line.EndsWith("\r\n", StringComparison.Ordinal);
        }

        return null;
    }

    private string Deliver(string? message)
    {
        DemoUser[] recipients = [.. _recipients.Distinct()];
        Forget();
        if (message is null)
        {
            return "552 5.3.4 Message too big\r\n";
        }

        byte[] bytes = Encoding.Latin1.GetBytes(message);
        foreach (DemoUser user in recipients)
        {
            mail.Deliver(user, bytes);
        }

        return "250 2.0.0 Delivered\r\n";
    }

    /// <summary>The lines every server puts before a message (RFC 5321 section 4.4).</summary>
    private string Trace()
    {
        string login = _client.GetValueOrDefault("LOGIN", "");
        string protocol = (_extended ? "ESMTP" : "SMTP") + (_extended && login.Length > 0 ? "A" : "");
        string date = TimeProvider.System.GetUtcNow().ToString("ddd, dd MMM yyyy HH:mm:ss", CultureInfo.InvariantCulture);
        return $"Return-Path: <{_sender}>\r\n"
            + $"Received: from {_helo} ({_client["NAME"]} [{_client["ADDR"]}])\r\n"
            + (login.Length > 0 ? $"\t(authenticated as {login})\r\n" : "")
            + $"\tby {Name} with {protocol}; {date} +0000\r\n";
    }

    private void Forget()
    {
        _sender = null;
        _recipients.Clear();
    }

    /// <summary>The address in <c>FROM:&lt;address&gt; PARAMETERS</c>; null if there is none.</summary>
    private static string? AddressIn(string argument, string keyword)
    {
        string rest = argument.StartsWith(keyword, StringComparison.OrdinalIgnoreCase) ? argument[keyword.Length..].TrimStart() : "";
        int close = rest.IndexOf('>', StringComparison.Ordinal);
        return rest.StartsWith('<') && close > 0 ? rest[1..close] : null;
    }

    /// <summary>xtext (RFC 3461 section 4): +XX is a byte. Nothing that ends a line may come out of it.</summary>
    private static string Decode(string text)
    {
        var plain = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '+' && byte.TryParse(text.AsSpan(i + 1, Math.Min(2, text.Length - i - 1)), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
            {
                plain.Append(value < ' ' ? '?' : (char)value);
                i += 2;
            }
            else
            {
                plain.Append(text[i]);
            }
        }

        return plain.ToString();
    }
}
