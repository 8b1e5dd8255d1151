using System.Globalization;
using System.Text;
using CsCheck;
using Postern.Net.Tests.Scripted;
using Postern.Protocol.Imap;
using Postern.TestKit.Hostile;
using Xunit;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>
/// Logins and passwords of any bytes (nginx CVE-2025-53859 and XCLIENT without xtext, Dovecot CVE-2019-10691, CVE-2020-12673,
/// CVE-2020-12674, CVE-2020-7046, CVE-2026-24031): each destination gets exactly one value, whatever it is made of, or the attempt is refused.
/// </summary>
public sealed class CredentialTests
{
    private static readonly byte[] _awkward = [0, 13, 10, .. "\"\\%+= {("u8, 0xff, 0xc3, 0x80];

    private static readonly Gen<byte[]> _any = Gen.OneOf(
        Gen.Byte.Array[0, 40],
        Gen.Int[0, _awkward.Length - 1].Select(which => _awkward[which]).Array[0, 40]);

    [Theory]
    [MemberData(nameof(StartTlsTests.Protocols), MemberType = typeof(StartTlsTests))]
    public void Plain_KnownTroublemakers_EveryDestinationGetsOneValue(MailProtocol protocol)
    {
        foreach (string login in Troublemakers.Values)
        {
            foreach (string password in Troublemakers.Values)
            {
                SignIn(protocol, Encoding.Latin1.GetBytes(login), Encoding.Latin1.GetBytes(password), smtpAuth: false);
            }

            SignIn(protocol, Encoding.Latin1.GetBytes(login), "p"u8.ToArray(), smtpAuth: true);
        }
    }

    [Theory]
    [MemberData(nameof(StartTlsTests.Protocols), MemberType = typeof(StartTlsTests))]
    public void Plain_AnyBytes_EveryDestinationGetsOneValue(MailProtocol protocol) =>
        Gen.Select(_any, _any, Gen.Bool).Sample((login, password, smtpAuth) => SignIn(protocol, login, password, smtpAuth), iter: 300, threads: 1);

    /// <summary>A login as long as the buffer allows arrives whole; one byte more is turned away, and neither disturbs anybody else.</summary>
    [Fact]
    public void Imap_LoginUpToTheBuffer_ArrivesWholeAndNotAByteMore()
    {
        using var mail = new SessionHarness(settings => Dialects.Apply(settings, MailProtocol.Imap));
        foreach (int bytes in (int[])[1000, 3000, 4070, 4071, 4072, 4073, 4074, 4075, 4076, 4077, 4078, 4096, 5000])
        {
            string login = new('\xff', bytes);
            ScriptedSocket client = mail.Connect();
            client.TakeText();
            int before = mail.Script.Kernel.Connected.Count;
            string command = $"a LOGIN {{{bytes}+}}\r\n{login} p\r\n";
            mail.Say(client, command);
            if (command.Length <= 4096)
            {
                Assert.Contains($"Auth-User: {login}\r\n", mail.Opened(before).TakeText(), StringComparison.Ordinal);
            }
            else
            {
                Assert.Equal("a BAD invalid command\r\n", client.TakeText());
                Assert.True(client.EndSent);
                Assert.Equal(before, mail.Script.Kernel.Connected.Count);
            }

            client.ArriveEnd();
            mail.Script.Settle();
        }
    }

    /// <summary>Dovecot CVE-2025-59028: a login that cannot be decoded is its sender's affair alone.</summary>
    [Theory]
    [MemberData(nameof(StartTlsTests.Protocols), MemberType = typeof(StartTlsTests))]
    public void BrokenBase64_OfOneClient_OthersSignIn(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        string auth = protocol == MailProtocol.Imap ? "a AUTHENTICATE PLAIN\r\n" : "AUTH PLAIN\r\n";
        using var mail = new SessionHarness(settings => Dialects.Apply(settings, protocol));
        ScriptedSocket bad = mail.Connect();
        mail.Say(bad, auth);
        ScriptedSocket good = mail.Connect();
        good.TakeText();
        mail.Say(good, dialect.SignIn);
        mail.Say(bad, "!!!not base64\r\n");
        mail.Accept(0);
        foreach (string reply in dialect.BackendReplies)
        {
            mail.Say(bad, auth);
            mail.Say(bad, "====\r\n");
            mail.Say(mail.Opened(1), reply);
        }

        Assert.StartsWith(dialect.SignInPrompts + dialect.Joined, good.TakeText(), StringComparison.Ordinal);
        Assert.False(bad.Closed);
    }

    /// <summary>Dovecot CVE-2026-27857: parentheses, quotes and braces without end cost a buffer and a connection, not memory.</summary>
    [Theory]
    [InlineData(MailProtocol.Imap, "a LOGIN ", '(')]
    [InlineData(MailProtocol.Imap, "a ID ", '(')]
    [InlineData(MailProtocol.Imap, "a LOGIN \"", '"')]
    [InlineData(MailProtocol.Imap, "a LOGIN ", '{')]
    [InlineData(MailProtocol.Imap, "", '(')]
    [InlineData(MailProtocol.Pop3, "USER ", '(')]
    [InlineData(MailProtocol.Smtp, "EHLO ", '(')]
    public void Nesting_WithoutEnd_IsCutOffAtTheBuffer(MailProtocol protocol, string start, char nested)
    {
        Dialect dialect = Dialects.Of(protocol);
        using var mail = new SessionHarness(settings => Dialects.Apply(settings, protocol));
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        mail.Say(client, start + new string(nested, 4096));
        string reply = client.TakeText();
        Assert.EndsWith(dialect.Invalid[1..], reply, StringComparison.Ordinal);
        Assert.Equal(1, reply.Count(ch => ch == '\n'));
        Assert.True(client.EndSent);
    }

    private static void SignIn(MailProtocol protocol, byte[] login, byte[] password, bool smtpAuth)
    {
        Dialect dialect = Dialects.Of(protocol);
        using var mail = new SessionHarness(settings => Dialects.Apply(settings, protocol) with { ProxySmtpAuth = smtpAuth });
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        string response = Convert.ToBase64String([0, .. login, 0, .. password]);
        string command = (protocol == MailProtocol.Imap ? "a AUTHENTICATE PLAIN " : "AUTH PLAIN ") + response + "\r\n";
        mail.Say(client, command);

        if (protocol == MailProtocol.Pop3 && command.Length > 128)
        {
            Assert.Empty(mail.Script.Kernel.Connected);
            return;
        }

        // A NUL of the login is where the password begins: PLAIN cannot say otherwise.
        int nul = login.AsSpan().IndexOf((byte)0);
        if (nul >= 0)
        {
            (login, password) = (login[..nul], [.. login[(nul + 1)..], 0, .. password]);
        }

        string request = mail.Opened(0).TakeText();
        string[] lines = request.Split("\r\n");
        Assert.EndsWith("\r\n\r\n", request, StringComparison.Ordinal);
        Assert.Equal(protocol == MailProtocol.Smtp ? 11 : 10, lines.Length - 1);
        Assert.Equal(Encoding.Latin1.GetString(login), Unescape(lines[3]["Auth-User: ".Length..], '%'));
        Assert.Equal(Encoding.Latin1.GetString(password), Unescape(lines[4]["Auth-Pass: ".Length..], '%'));

        mail.Accept(0);
        if (mail.Script.Kernel.Connected.Count == 1)
        {
            // What no command can carry is refused before anybody is asked.
            Assert.True(protocol != MailProtocol.Imap && (login.Concat(password).Any(value => value is 0 or 10 or 13)));
            Assert.Equal(dialect.InternalError, client.TakeText());
            return;
        }

        string said = Converse(mail, dialect, protocol, smtpAuth);
        switch (protocol)
        {
            case MailProtocol.Imap:
                AssertImap(said, login, password);
                break;
            case MailProtocol.Pop3:
                Assert.Equal($"USER {Encoding.Latin1.GetString(login)}\r\nPASS {Encoding.Latin1.GetString(password)}\r\n", said);
                break;
            default:
                string[] commands = said.Split("\r\n");
                Assert.Equal(smtpAuth ? 4 : 3, commands.Length);
                Assert.Equal("EHLO mx.example.test", commands[0]);
                string[] attributes = commands[1].Split(' ');
                Assert.Equal(smtpAuth || login.Length == 0 ? 3 : 4, attributes.Length);
                if (attributes.Length == 4)
                {
                    Assert.Equal(Encoding.Latin1.GetString(login), Unescape(attributes[2]["LOGIN=".Length..], '+'));
                }

                if (smtpAuth)
                {
                    Assert.Equal("AUTH PLAIN " + Convert.ToBase64String([0, .. login, 0, .. password]), commands[2]);
                }

                break;
        }
    }

    /// <summary>Plays the backend.</summary>
    /// <returns>What it was told.</returns>
    private static string Converse(SessionHarness mail, Dialect dialect, MailProtocol protocol, bool smtpAuth)
    {
        ScriptedSocket backend = mail.Opened(1);
        var said = new StringBuilder();
        if (protocol == MailProtocol.Imap)
        {
            mail.Say(backend, dialect.BackendReplies[0]);
            for (int i = 0; i < 2; i++)
            {
                string more = backend.TakeText();
                said.Append(more);
                if (more.EndsWith("}\r\n", StringComparison.Ordinal))
                {
                    mail.Say(backend, "+ go on\r\n");
                }
            }

            return said.Append(backend.TakeText()).ToString();
        }

        foreach (string reply in smtpAuth && protocol == MailProtocol.Smtp ? [.. dialect.BackendReplies, "235 ok\r\n"] : dialect.BackendReplies)
        {
            mail.Say(backend, reply);
            said.Append(backend.TakeText());
        }

        return said.ToString();
    }

    /// <summary>The backend's parser, as good as ours, finds the same two strings.</summary>
    private static void AssertImap(string said, byte[] login, byte[] password)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(said);
        var parser = new ImapCommandParser(100_000);
        ImapParse parse;
        do
        {
            parse = parser.Parse(bytes);
        }
        while (parse.Status == ImapParseStatus.Continue);

        Assert.Equal((ImapParseStatus.Complete, ImapCommand.Login, bytes.Length), (parse.Status, parse.Command, parse.Consumed));
        Assert.Equal(2, parser.ArgumentCount);
        Assert.Equal(login, Copy(parser, 0, bytes));
        Assert.Equal(password, Copy(parser, 1, bytes));
    }

    private static byte[] Copy(ImapCommandParser parser, int index, byte[] bytes)
    {
        byte[] value = new byte[bytes.Length];
        return value[..parser.CopyArgument(index, bytes, value)];
    }

    private static string Unescape(string text, char sign)
    {
        var plain = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            bool escaped = text[i] == sign;
            plain.Append(escaped ? (char)byte.Parse(text.AsSpan(i + 1, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) : text[i]);
            i += escaped ? 2 : 0;
        }

        return plain.ToString();
    }
}
