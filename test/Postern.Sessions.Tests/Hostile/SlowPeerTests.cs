using Postern.Net.Tests.Scripted;
using Postern.TestKit.Hostile;
using Xunit;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>Peers that are slow on purpose, one byte a second, or do not read: each costs one connection for one <c>timeout</c>.</summary>
public sealed class SlowPeerTests
{
    private const int TimeoutSeconds = 60;

    private const string AuthReply = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.9\r\nAuth-Port: 143\r\n\r\n";

    public static TheoryData<MailProtocol> Protocols => StartTlsTests.Protocols;

    /// <summary>Traffic does not prolong the time before login.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Client_OneByteASecond_IsEndedByTimeout(MailProtocol protocol)
    {
        using SessionHarness mail = Serve(protocol);
        ScriptedSocket client = mail.Connect();
        int seconds = 0;
        while (!client.Closed && seconds < 2 * TimeoutSeconds)
        {
            mail.Say(client, "x");
            mail.Script.Pass(1_000);
            seconds++;
        }

        Assert.InRange(seconds, TimeoutSeconds - 1, TimeoutSeconds + 1);
        Assert.Contains("client timed out (110: Connection timed out)", mail.Log(), StringComparison.Ordinal);
        AssertNothingLeft(mail);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public void AuthServer_OneByteASecond_InternalErrorAfterItsTimeout(MailProtocol protocol)
    {
        using SessionHarness mail = Serve(protocol);
        ScriptedSocket client = SignIn(mail, protocol);
        Drip(mail, mail.Opened(0), "HTTP/1.0 200 OK\r\nX: " + new string('x', 200));
        Assert.EndsWith(Dialects.Of(protocol).InternalError, client.TakeText(), StringComparison.Ordinal);
        client.ArriveEnd();
        AssertNothingLeft(mail);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public void Backend_OneByteASecond_InternalErrorAfterTimeout(MailProtocol protocol)
    {
        using SessionHarness mail = Serve(protocol);
        ScriptedSocket client = SignIn(mail, protocol);
        mail.Say(mail.Opened(0), AuthReply);
        Drip(mail, mail.Opened(1), Dialects.Of(protocol).BackendReplies[0][..^2] + new string('x', 200));
        Assert.EndsWith(Dialects.Of(protocol).InternalError, client.TakeText(), StringComparison.Ordinal);
        mail.Opened(0).ArriveEnd();
        client.ArriveEnd();
        AssertNothingLeft(mail);
    }

    /// <summary>A window of no bytes from the greeting on: the replies to come wait for it, then the time is over.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Client_NeverReads_IsNotReadEitherAndEnds(MailProtocol protocol)
    {
        using SessionHarness mail = Serve(protocol);
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        client.Window = 0;
        string commands = string.Concat(Enumerable.Repeat(Dialects.Of(protocol).Marker, 10_000));
        mail.Say(client, commands);
        Assert.True(client.Inbox.Length > commands.Length / 2, "commands were read whose replies nobody takes");
        mail.Script.Pass(4 * TimeoutSeconds * 1000);
        Assert.True(client.Closed);
        AssertNothingLeft(mail);
    }

    /// <summary>A command in TLS records of every size, down to one byte each.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Client_RecordsOfEverySize_AreOneStream(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        string commands = string.Concat(Enumerable.Repeat(dialect.Marker, 4));
        string replies = string.Concat(Enumerable.Repeat(dialect.MarkerReply, 4));
        using SessionHarness mail = Serve(protocol);
        var client = HostileClient.Connect(mail);
        client.TakeClear();
        client.SayClear(dialect.StartTls);
        client.Handshake();
        for (int size = 1; size <= commands.Length; size++)
        {
            string heard = "";
            foreach (char[] record in commands.Chunk(size))
            {
                heard += client.SaySecret(new string(record));
            }

            Assert.Equal(replies, heard);
        }

        client.Leave();
        AssertNothingLeft(mail);
    }

    private static SessionHarness Serve(MailProtocol protocol) => new(settings => Dialects.Apply(settings, protocol));

    private static ScriptedSocket SignIn(SessionHarness mail, MailProtocol protocol)
    {
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        mail.Say(client, Dialects.Of(protocol).SignIn);
        return client;
    }

    /// <summary>A byte each second until the session has had enough.</summary>
    private static void Drip(SessionHarness mail, ScriptedSocket peer, string text)
    {
        int seconds = 0;
        while (!peer.Closed && seconds < text.Length)
        {
            mail.Say(peer, text[seconds..(seconds + 1)]);
            mail.Script.Pass(1_000);
            seconds++;
        }

        Assert.InRange(seconds, TimeoutSeconds - 1, TimeoutSeconds + 1);
    }

    private static void AssertNothingLeft(SessionHarness mail)
    {
        mail.Script.Pass(4 * TimeoutSeconds * 1000);
        Assert.Equal(0, mail.Script.Kernel.OpenSockets);
        Assert.Equal(0, mail.Script.Loop.Connections);
        Assert.Equal(0, mail.Script.Loop.Timers.Count);
        Assert.DoesNotContain("session failed", mail.Log(), StringComparison.Ordinal);
    }
}
