using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Postern.Net.Tls;
using Postern.Protocol.Imap;
using Postern.Sessions;

namespace Postern.Fuzz.Sessions;

/// <summary>
/// What holds of every session, whatever its peers say: replies are lines of the protocol, nothing a client has said reaches auth server or
/// backend but in its place, and bytes are relayed only once the backend has said yes. Text is Latin-1: one character is one byte.
/// </summary>
internal static partial class SessionOracles
{
    private static readonly HashSet<string> _headers = new(StringComparer.Ordinal)
    {
        "Host", "Auth-Method", "Auth-User", "Auth-Pass", "Auth-Salt", "Auth-Protocol", "Auth-Login-Attempt", "Client-IP", "Client-Host",
        "Proxy-Protocol-Addr", "Proxy-Protocol-Port", "Proxy-Protocol-Server-Addr", "Proxy-Protocol-Server-Port",
        "Auth-SMTP-Helo", "Auth-SMTP-From", "Auth-SMTP-To", "Auth-SSL", "Auth-SSL-Protocol", "Auth-SSL-Cipher", "Connection",
    };

    public static void Check(SessionScript script)
    {
        CheckReplies(script);
        Dictionary<string, string>? request = null;
        foreach (List<byte> told in script.AuthTold)
        {
            request = CheckRequests(script, Text(told)) ?? request;
        }

        Oracle.Holds(script.Variant.StartTls != StartTls.Only || !script.AuthToldInClear, "a sign-in in clear under \"starttls only\"");
        Oracle.Holds(script.Backends <= 1, "more than one backend");
        Oracle.Holds(script.Backends == 0 || HasAccepted(script), "a backend without the auth server's OK");
        Oracle.Holds(!script.Joined || BackendHasAccepted(script), "joined without the backend's OK");
        CheckBackend(script, request);
    }

    public static void CheckLog(ReadOnlySpan<byte> log)
    {
        const int MaxLineBytes = 2048;
        foreach (Range range in log.Split((byte)'\n'))
        {
            ReadOnlySpan<byte> line = log[range];
            Oracle.Holds(line.Length < MaxLineBytes && line.IndexOfAnyExceptInRange((byte)' ', (byte)'~') < 0, $"log line {Text([.. line])}");
            Oracle.Holds(line.IndexOf("session failed"u8) < 0, Text([.. line]));
            Oracle.Holds(line.IndexOf("honest-pass"u8) < 0, "a password in the log");
        }
    }

    private static void CheckReplies(SessionScript script)
    {
        if (!script.Variant.Ssl)
        {
            Oracle.Holds(script.ClientSaidSecret.Count > 0 || script.ClientHeardSecret.Count == 0, "an answer inside TLS to what was said in clear");
            string clear = Text(script.ClientHeardClear);

            // Who speaks in clear where a handshake belongs hears an alert.
            int alert = clear.IndexOf("\x15\x03", StringComparison.Ordinal);
            CheckLines(script, alert >= 0 ? clear[..alert] : clear);
        }

        CheckLines(script, Text(script.ClientHeardSecret));
    }

    private static void CheckLines(SessionScript script, string heard)
    {
        if (script.Backends > 0 && (script.Joined || script.Variant.PassesErrorMessages))
        {
            return; // the words of the backend
        }

        string[] lines = heard.Split("\r\n");
        Oracle.Holds(lines[^1].Length == 0 || script.Stalled, "a reply without an end");
        bool anyCode = Text(script.AuthSaid).Contains("auth-error-code", StringComparison.OrdinalIgnoreCase);
        foreach (string line in lines[..^1])
        {
            Oracle.Holds(line.AsSpan().IndexOfAny('\r', '\n', '\0') < 0, $"a reply of more than a line: {line}");
            bool fits = script.Variant.Protocol switch
            {
                MailProtocol.Imap => ImapLine().IsMatch(line),
                MailProtocol.Pop3 => Pop3Line().IsMatch(line),
                _ => anyCode || SmtpLine().IsMatch(line),
            };
            Oracle.Holds(fits, $"no reply of the protocol: {line}");
        }
    }

    /// <returns>The last whole request's lines, by name.</returns>
    private static Dictionary<string, string>? CheckRequests(SessionScript script, string told)
    {
        string[] requests = told.Split("\r\n\r\n");
        Oracle.Holds(requests[^1].Length == 0 || script.Stalled, "half a request");
        Dictionary<string, string>? last = null;
        foreach (string request in requests[..^1])
        {
            string[] lines = request.Split("\r\n");
            Oracle.Holds(lines[0] == "GET / HTTP/1.0", $"request line {lines[0]}");
            last = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (string line in lines[1..])
            {
                string[] parts = line.Split(": ", 2);
                Oracle.Holds(parts.Length == 2 && _headers.Contains(parts[0]) && last.TryAdd(parts[0], parts[1]), $"header line {line}");
                Oracle.Holds(parts[1].AsSpan().IndexOfAny('\r', '\n') < 0, $"header line {line}");
                Oracle.Holds(parts[0] is not ("Auth-User" or "Auth-Pass") || !parts[1].Any(ch => ch < ' '), $"header line {line}");
            }

            Oracle.Holds(last.ContainsKey("Auth-User") && last.ContainsKey("Auth-Pass") && last.ContainsKey("Auth-Protocol"), "a header line is missing");
        }

        return last;
    }

    private static bool HasAccepted(SessionScript script)
    {
        string said = Text(script.AuthSaid);
        return said.Contains("auth-status", StringComparison.OrdinalIgnoreCase) && said.Contains("ok", StringComparison.OrdinalIgnoreCase);
    }

    private static bool BackendHasAccepted(SessionScript script)
    {
        string said = Text(script.BackendSaid);
        return script.Variant.Protocol switch
        {
            MailProtocol.Imap => said.StartsWith("* OK", StringComparison.Ordinal) && said.Contains(" OK", StringComparison.Ordinal),
            MailProtocol.Pop3 => said.Split("\n").Count(line => line.StartsWith("+OK", StringComparison.Ordinal)) >= 3,
            _ => said.StartsWith("220", StringComparison.Ordinal) && said.Contains("\n250", StringComparison.Ordinal),
        };
    }

    private static void CheckBackend(SessionScript script, Dictionary<string, string>? request)
    {
        string told = Text(script.BackendTold);
        int login = SkipProxyHeader(script, told);
        if (login < 0)
        {
            Oracle.Holds(!script.Joined || script.Stalled, "joined without the PROXY header");
            return;
        }

        List<int> ends = script.Variant.Protocol switch
        {
            MailProtocol.Imap => EndsOfImap(script, told[login..], request),
            MailProtocol.Pop3 => EndsOfLines(told[login..], ["USER ", "PASS "]),
            _ => EndsOfSmtp(script, told[login..]),
        };
        if (!script.Joined)
        {
            Oracle.Holds(ends.Contains(told.Length - login) || (script.Stalled && ends.Count > 0), "something else than a login was told to the backend");
            return;
        }

        string said = Text(script.Secured || script.Variant.Ssl ? script.ClientSaidSecret : script.ClientSaidClear);
        Oracle.Holds(
            script.Stalled || ends.Any(end => said.Contains(told[(login + end)..], StringComparison.Ordinal)), "bytes were relayed that the client has not said");
    }

    private static int SkipProxyHeader(SessionScript script, string told)
    {
        const int Version2Bytes = 16;
        switch (script.Variant.OutgoingProxyProtocol)
        {
            case OutgoingProxyProtocol.Off:
                return 0;
            case OutgoingProxyProtocol.V1:
                int end = told.IndexOf("\r\n", StringComparison.Ordinal);
                Oracle.Holds(end < 0 || ProxyLine().IsMatch(told[..end]), $"PROXY header {told}");
                return end < 0 ? end : end + 2;
            default:
                int bytes = told.Length < Version2Bytes ? -1 : Version2Bytes + (told[14] << 8) + told[15];
                Oracle.Holds(bytes <= told.Length, $"PROXY header {told}");
                return bytes;
        }
    }

    /// <returns>Where the login may end; the whole of an unfinished one.</returns>
    private static List<int> EndsOfImap(SessionScript script, string told, Dictionary<string, string>? request)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(told);
        var parser = new ImapCommandParser(1_000_000);
        ImapParse parse;
        do
        {
            parse = parser.Parse(bytes);
        }
        while (parse.Status == ImapParseStatus.Continue);

        if (parse.Status == ImapParseStatus.NeedMore)
        {
            return [told.Length];
        }

        Oracle.Holds(parse is { Status: ImapParseStatus.Complete, Command: ImapCommand.Login } && parser.ArgumentCount == 2, "not one LOGIN");
        string said = Text(script.AuthSaid);
        if (!said.Contains("auth-user", StringComparison.OrdinalIgnoreCase))
        {
            Oracle.Holds(Unescape(request!["Auth-User"]) == Argument(parser, 0, bytes), "the backend was told another login than the auth server");
        }

        if (!said.Contains("auth-pass", StringComparison.OrdinalIgnoreCase))
        {
            Oracle.Holds(Unescape(request!["Auth-Pass"]) == Argument(parser, 1, bytes), "the backend was told another password than the auth server");
        }

        return [parse.Consumed];
    }

    private static List<int> EndsOfSmtp(SessionScript script, string told)
    {
        List<string> lines = ["EHLO mx.example.test\r\n|HELO mx.example.test\r\n"];
        if (script.Variant.XClient)
        {
            lines.Add("XCLIENT ADDR=");
        }

        string[] helo = script.Variant.XClient ? ["EHLO |HELO "] : [];
        string[] end = script.Variant.ProxySmtpAuth ? ["AUTH PLAIN "] : [];
        return
        [
            .. EndsOfLines(told, [.. lines, .. end]), .. EndsOfLines(told, [.. lines, .. helo, .. end]),
            .. EndsOfLines(told, [.. lines, "MAIL ", "RCPT "]), .. EndsOfLines(told, [.. lines, .. helo, "MAIL ", "RCPT "]),
        ];
    }

    /// <param name="told">The dialogue.</param>
    /// <param name="starts">How its lines begin, in any case of letters; alternatives between bars.</param>
    /// <returns>Behind the last of these lines, or the end of a dialogue that was cut off; none if it is another dialogue.</returns>
    private static List<int> EndsOfLines(string told, string[] starts)
    {
        int at = 0;
        foreach (string start in starts)
        {
            if (at == told.Length)
            {
                break;
            }

            int end = told.IndexOf('\n', at);
            if (end < 0
                || !start.Split('|').Any(one => told.AsSpan(at).StartsWith(one, StringComparison.OrdinalIgnoreCase))
                || told.AsSpan(at, end - at - 1).IndexOfAny('\r', '\n') >= 0
                || told[end - 1] != '\r')
            {
                return [];
            }

            at = end + 1;
        }

        return [at];
    }

    private static string Argument(ImapCommandParser parser, int index, byte[] bytes)
    {
        byte[] value = new byte[bytes.Length];
        return Text([.. value[..parser.CopyArgument(index, bytes, value)]]);
    }

    private static string Unescape(string text) => EscapedByte().Replace(
        text, match => ((char)byte.Parse(match.Value.AsSpan(1), NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString());

    private static string Text(List<byte> bytes) => Encoding.Latin1.GetString([.. bytes]);

    [GeneratedRegex("^(\\* |\\+ |[!-~]+ (OK|NO|BAD) )")]
    private static partial Regex ImapLine();

    [GeneratedRegex("^(\\+OK|-ERR|\\+ |[A-Z][A-Z0-9 -]*$|\\.$)")]
    private static partial Regex Pop3Line();

    [GeneratedRegex("^[2-5][0-9][0-9][ -]|^334 ")]
    private static partial Regex SmtpLine();

    [GeneratedRegex("^PROXY (UNKNOWN|TCP[46] [0-9a-f.:]+ [0-9a-f.:]+ [0-9]+ [0-9]+)$")]
    private static partial Regex ProxyLine();

    [GeneratedRegex("%[0-9A-Fa-f]{2}")]
    private static partial Regex EscapedByte();
}
