using Postern.Net.Tests.Scripted;
using Postern.TestKit.Hostile;
using Xunit;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>
/// SMTP smuggling (Postfix 2023 to 2026): who signs in speaks to the backend byte for byte; nobody between them takes one line end for
/// another. Before that a bare LF ends a line and a bare CR spoils it.
/// </summary>
public sealed class SmugglingTests
{
    private const string Endings =
        "DATA\r\nA: b\n\n.\nMAIL FROM:<x>\r\n.\n\n.\r\n\r.\r\r\n.\r\r\n\r\r\n.\r\n\n.\r\r\n.\0\r\n\r\n..\r\n.\r\nQUIT\n";

    [Fact]
    public void Relay_EveryKindOfLineEnd_ArrivesUnchangedHoweverSplit()
    {
        for (int split = 0; split <= Endings.Length; split++)
        {
            using var mail = new SessionHarness(settings => Dialects.Apply(settings, MailProtocol.Smtp));
            Dialect dialect = Dialects.Of(MailProtocol.Smtp);
            ScriptedSocket client = mail.Connect();

            // The first part comes with the AUTH command, the rest when the session is joined.
            mail.Say(client, dialect.SignIn + Endings[..split]);
            mail.Accept(0);
            foreach (string reply in dialect.BackendReplies)
            {
                mail.Opened(1).TakeText();
                mail.Say(mail.Opened(1), reply);
            }

            mail.Say(client, Endings[split..]);
            Assert.Equal(Endings, mail.Opened(1).TakeText());
        }
    }

    [Theory]
    [InlineData(MailProtocol.Imap, "a NOOP\rb NOOP\r\nc NOOP\n", "a BAD invalid command\r\nc OK completed\r\n")]
    [InlineData(MailProtocol.Pop3, "NOOP\rNOOP\r\nNOOP\n", "-ERR invalid command\r\n+OK\r\n")]
    [InlineData(MailProtocol.Smtp, "NOOP\rNOOP\r\nNOOP\n", "500 5.5.1 Invalid command\r\n250 2.0.0 OK\r\n")]
    [InlineData(MailProtocol.Smtp, "NOOP\r\r\nNOOP\n", "500 5.5.1 Invalid command\r\n250 2.0.0 OK\r\n")]
    public void Commands_BareLineFeedEnds_BareCarriageReturnSpoils(MailProtocol protocol, string commands, string replies)
    {
        using var mail = new SessionHarness(settings => Dialects.Apply(settings, protocol));
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        mail.Say(client, commands);
        Assert.Equal(replies, client.TakeText());
    }
}
