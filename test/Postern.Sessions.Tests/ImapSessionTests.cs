using System.Text;
using Postern.Interop;
using Postern.Net;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Sessions.Tests;

/// <summary>What an IMAP session does that is hard to see from outside: sends, timers, ends, faults.</summary>
public sealed class ImapSessionTests : IDisposable
{
    private readonly SessionHarness _mail = new();

    private ScriptedLoop Script => _mail.Script;

    public void Dispose() => _mail.Dispose();

    [Fact]
    public void PipelinedCommands_AnsweredInOrderInOneSend()
    {
        ScriptedSocket client = _mail.Connect();
        Assert.Equal("* OK IMAP4 ready\r\n", client.TakeText());
        client.Sends.Clear();
        _mail.Say(client, "a NOOP\r\nb CAPABILITY\r\nc NOOP\r\n");
        Assert.Equal(
            "a OK completed\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN STARTTLS\r\nb OK completed\r\nc OK completed\r\n", client.TakeText());
        Assert.Single(client.Sends);
    }

    [Fact]
    public void PipelinedCommands_MoreThanOneBuffer_AllAnswered()
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        StringBuilder commands = new();
        StringBuilder replies = new();
        for (int i = 0; i < 2000; i++)
        {
            commands.Append(null, $"a{i} NOOP\r\n");
            replies.Append(null, $"a{i} OK completed\r\n");
        }

        _mail.Say(client, commands.ToString());
        Assert.Equal(replies.ToString(), client.TakeText());
    }

    [Fact]
    public void PipelinedCommands_ClientDoesNotRead_RepliesAreBounded()
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        client.Window = 100;
        _mail.Say(client, string.Concat(Enumerable.Repeat("a CAPABILITY\r\n", 100_000)));
        Assert.True(client.Inbox.Length > 1_000_000, "reading goes on although the client does not read");
    }

    [Fact]
    public void CommandsTogetherWithTheEndOfTheStream_AreAnsweredBeforeTheClose()
    {
        ScriptedSocket client = _mail.Connect();
        client.Arrive("a NOOP\r\nb NOOP\r\n");
        client.ArriveEnd();
        Script.Settle();
        Assert.Equal("* OK IMAP4 ready\r\na OK completed\r\nb OK completed\r\n", client.TakeText());
        Assert.True(client.Closed);
        AssertNothingLeft();
    }

    [Fact]
    public void Timeout_TotalBudget_NotRestartedByCommands()
    {
        ScriptedSocket client = _mail.Connect();
        for (int i = 0; i < 5; i++)
        {
            Script.Pass(11_000);
            _mail.Say(client, "a NOOP\r\n");
            Assert.False(client.Closed);
        }

        client.TakeText();
        Script.Pass(5_100);
        Assert.True(client.Closed);
        Assert.Equal("", client.TakeText());
        Assert.Contains("client timed out (110: Connection timed out) while in auth state", _mail.Log(), StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [Fact]
    public void Timeout_NotRunningWhileTheAuthServerThinks()
    {
        using var mail = new SessionHarness(settings => settings with { AuthHttp = settings.AuthHttp with { Timeout = TimeSpan.FromHours(1) } });
        ScriptedSocket client = mail.Connect();
        mail.Say(client, "a LOGIN u p\r\n");
        mail.Script.Pass(600_000);
        Assert.False(client.Closed);
        mail.Accept(0);
        Assert.Equal(2, mail.Script.Kernel.Connected.Count);
    }

    [Fact]
    public void Refused_WithWait_AnswerComesLateAndTheBudgetStartsAnew()
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        Script.Pass(50_000);
        _mail.Say(client, "a LOGIN u p\r\nb NOOP\r\n");
        _mail.Say(_mail.Opened(0), "HTTP/1.0 200 OK\r\nAuth-Status: no\r\nAuth-Wait: 3\r\n\r\n");
        Script.Pass(2_900);
        Assert.Equal("", client.TakeText());
        Script.Pass(200);
        Assert.Equal("a NO no\r\nb OK completed\r\n", client.TakeText());
        Script.Pass(59_000);
        Assert.False(client.Closed);
        Script.Pass(1_100);
        Assert.True(client.Closed);
    }

    [Fact]
    public void Refused_WithLongWait_GracefulStopEndsIt()
    {
        ScriptedSocket client = _mail.Connect();
        _mail.Say(client, "a LOGIN u p\r\n");
        _mail.Say(_mail.Opened(0), "HTTP/1.0 200 OK\r\nAuth-Status: no\r\nAuth-Wait: 3600\r\n\r\n");
        Script.Loop.BeginDraining();
        Script.Loop.ShutDownRemaining();
        Assert.True(client.Closed);
        Assert.Contains("[info]", _mail.Log(), StringComparison.Ordinal);
        Assert.Contains("shutdown timeout while", _mail.Log(), StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void ShutDownRemaining_AtAnyPhase_EverythingEnds(int phase)
    {
        ScriptedSocket client = _mail.Connect();
        if (phase > 0)
        {
            _mail.Say(client, "a LOGIN u p\r\n");
        }

        if (phase > 1)
        {
            _mail.Accept(0);
        }

        Script.Loop.BeginDraining();
        Script.Loop.ShutDownRemaining();
        Script.Settle();
        Assert.True(client.Closed);
        Assert.Contains("shutdown timeout", _mail.Log(), StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [Fact]
    public void Login_PipelinedDataBehindIt_GoesToTheBackendAfterTheReply()
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        _mail.Say(client, "a LOGIN user \"pass\\\"word\"\r\nb SELECT inbox\r\n");
        _mail.Accept(0);
        ScriptedSocket backend = _mail.Opened(1);
        _mail.Say(backend, "* OK hello\r\n");
        Assert.Equal("a LOGIN \"user\" \"pass\\\"word\"\r\n", backend.TakeText());
        Assert.Equal("", client.TakeText());
        client.Sends.Clear();
        _mail.Say(backend, "* CAPABILITY X\r\na OK done\r\n");
        Assert.Equal("* CAPABILITY X\r\na OK done\r\n", client.TakeText());
        Assert.Equal("b SELECT inbox\r\n", backend.TakeText());
        Assert.Single(client.Sends);
        _mail.Say(client, "c NOOP\r\n");
        Assert.Equal("c NOOP\r\n", backend.TakeText());
        backend.ArriveEnd();
        Script.Settle();
        Assert.True(client.Closed);
        Assert.Contains("proxied session done, client: 192.0.2.55, server: 0.0.0.0:143, login: \"user\"", _mail.Log(), StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [Fact]
    public void Login_ClientLeavesBeforeTheBackendAnswers_BothEndPromptly()
    {
        ScriptedSocket client = _mail.Connect();
        _mail.Say(client, "a LOGIN u p\r\n");
        _mail.Accept(0);
        client.ArriveEnd();
        ScriptedSocket backend = _mail.Opened(1);
        _mail.Say(backend, "* OK hello\r\n");
        _mail.Say(backend, "a OK done\r\n");
        Assert.True(backend.EndSent);
        backend.ArriveEnd();
        Script.Settle();
        AssertNothingLeft();
    }

    [Theory]
    [InlineData("* BYE go away\r\n")]
    [InlineData(null)]
    public void Login_BackendRefusesOrLeaves_InternalErrorAndNothingLeft(string? greeting)
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        _mail.Say(client, "a LOGIN u p\r\n");
        _mail.Accept(0);
        if (greeting is null)
        {
            _mail.Opened(1).ArriveEnd();
        }
        else
        {
            _mail.Opened(1).Arrive(greeting);
        }

        Script.Settle();
        Assert.Equal("* BAD internal server error\r\n", client.TakeText());
        Assert.True(client.Closed);
        AssertNothingLeft();
    }

    [Theory]
    [InlineData(OutgoingProxyProtocol.Off, "recv() failed (111: Connection refused) while reading response from upstream")]
    [InlineData(OutgoingProxyProtocol.V1, "send() failed (111: Connection refused) while sending PROXY protocol header to upstream")]
    public void Login_BackendConnectRefused_ErrnoIsLogged(OutgoingProxyProtocol header, string expected)
    {
        using var mail = new SessionHarness(settings => settings with { ProxyProtocol = header });
        ScriptedSocket client = mail.Connect();
        mail.Say(client, "a LOGIN u p\r\n");
        mail.Script.Kernel.ConnectsAtOnce = false;
        mail.Accept(0);
        mail.Opened(1).Fail(Libc.ECONNREFUSED);
        mail.Script.Settle();
        Assert.Contains("[error]", mail.Log(), StringComparison.Ordinal);
        Assert.Contains(expected, mail.Log(), StringComparison.Ordinal);
        Assert.True(client.Closed);
    }

    [Fact]
    public void Login_BackendTimesOut_WholeDialogueHasOneLimit()
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        _mail.Say(client, "a LOGIN u p\r\n");
        _mail.Accept(0);
        Script.Pass(30_000);
        _mail.Say(_mail.Opened(1), "* OK hello\r\n");
        Script.Pass(29_000);
        Assert.False(client.Closed);
        Script.Pass(1_100);
        Assert.Equal("* BAD internal server error\r\n", client.TakeText());
        Assert.Contains("upstream timed out (110: Connection timed out)", _mail.Log(), StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [Fact]
    public void Login_NoPlaceForTheAuthServer_InternalErrorAndLogged()
    {
        using var mail = new SessionHarness(maxConnections: 1);
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        mail.Say(client, "a LOGIN u p\r\n");
        Assert.Equal("* BAD internal server error\r\n", client.TakeText());
        Assert.Contains("1 worker_connections are not enough", mail.Log(), StringComparison.Ordinal);
        Assert.Equal(0, mail.Script.Loop.Connections);
    }

    [Fact]
    public void TooLongCommand_ReplyIsNotLostToAReset()
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        _mail.Say(client, "a LOGIN secretuser " + new string('x', 20_000));
        Assert.Equal("a BAD invalid command\r\n", client.TakeText());
        Assert.True(client.EndSent);
        Assert.False(client.Closed);
        client.ArriveEnd();
        Script.Settle();
        Assert.True(client.Closed);
        Assert.False(client.ClosedWithUnread);
        Assert.DoesNotContain("secretuser", _mail.Log(), StringComparison.Ordinal);
    }

    [Fact]
    public void SaslLineTooLong_GoodbyeIsDeliveredAlthoughTheClientKeepsTalking()
    {
        ScriptedSocket client = _mail.Connect();
        client.TakeText();
        _mail.Say(client, "a AUTHENTICATE PLAIN\r\n");
        Assert.Equal("+ \r\n", client.TakeText());
        _mail.Say(client, new string('x', 20_000));
        Assert.Equal("a BAD invalid command\r\n", client.TakeText());
        Assert.False(client.Closed);
        client.ArriveEnd();
        Script.Settle();
        Assert.True(client.Closed);
        Assert.False(client.ClosedWithUnread);
        AssertNothingLeft();
    }

    [Fact]
    public void SessionFault_OnlyThatClientIsTold_OthersGoOn()
    {
        using var mail = new SessionHarness(observer: _ => throw new InvalidOperationException("secret text"));
        ScriptedSocket other = mail.Connect();
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        mail.Say(client, "a LOGIN u p\r\n");
        mail.Accept(0);
        ScriptedSocket backend = mail.Opened(1);
        mail.Say(backend, "* OK hello\r\n");
        mail.Say(backend, "a OK done\r\n");
        Assert.EndsWith("* BAD internal server error\r\n", client.TakeText(), StringComparison.Ordinal);
        Assert.True(client.Closed);
        Assert.True(backend.Closed);
        Assert.Contains("[alert]", mail.Log(), StringComparison.Ordinal);
        Assert.Contains("session failed: InvalidOperationException", mail.Log(), StringComparison.Ordinal);
        Assert.DoesNotContain("secret text", mail.Log(), StringComparison.Ordinal);
        other.TakeText();
        mail.Say(other, "a NOOP\r\n");
        Assert.Equal("a OK completed\r\n", other.TakeText());
        Assert.Equal(1, mail.Script.Loop.Connections);
    }

    [Fact]
    public void Registration_Refused_SessionEndsAndTheLoopLives()
    {
        Script.Kernel.AddInterestError = Libc.ENOMEM;
        ScriptedSocket client = _mail.Connect();
        Assert.True(client.Closed);
        Assert.Contains("epoll_ctl() failed (12: Cannot allocate memory)", _mail.Log(), StringComparison.Ordinal);
        AssertNothingLeft();
    }

    [Theory]
    [InlineData(Libc.ECONNRESET)]
    [InlineData(Libc.EPIPE)]
    public void GreetingCannotBeSent_SessionEnds(int errno)
    {
        var (connection, client) = Script.Accept();
        client.Fail(errno);
        _mail.Greet(connection);
        Assert.True(client.Closed);
        AssertNothingLeft();
    }

    [Fact]
    public void TlsHandshakeFails_AlertReachesTheClient()
    {
        using var mail = new SessionHarness(ssl: true);
        ScriptedSocket client = mail.Connect();
        mail.Say(client, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
        Assert.Equal(0x15, client.Take()[0]);
        Assert.True(client.Closed);
        Assert.Contains("SSL_do_handshake() failed (SSL: ", mail.Log(), StringComparison.Ordinal);
    }

    [Fact]
    public void TlsListener_TicketsAndGreetingInOneSend_LoginInOneMore()
    {
        using var mail = new SessionHarness(ssl: true);
        var (far, farSocket) = mail.Script.Accept();
        var (near, nearSocket) = mail.Script.Accept();
        ScriptedSocket.Join(farSocket, nearSocket, autoCarry: true);
        HandshakeDialogue handshake = HandshakeDialogue.AsClient(far, SessionHarness.ClientContext);
        mail.Greet(near);
        Assert.Equal(HandshakeOutcome.Completed, handshake.Outcome);
        ReadingDialogue client = ReadingDialogue.Start(far);
        mail.Script.Settle();
        Assert.Equal("* OK IMAP4 ready\r\n", client.Read.TakeText());
        Assert.Equal(2, nearSocket.Sends.Count);
        far.Write("a LOGOUT\r\n"u8);
        mail.Script.Settle();
        Assert.Equal("* BYE\r\na OK completed\r\n", client.Read.TakeText());
        Assert.True(client.Ended);
        Assert.Equal(3, nearSocket.Sends.Count); // BYE, OK and close_notify
    }

    [Fact]
    public void StartTls_ClearTextBehindTheCommand_Vanishes()
    {
        var (far, farSocket) = Script.Accept();
        var (near, nearSocket) = Script.Accept();
        ScriptedSocket.Join(farSocket, nearSocket, autoCarry: true);
        _mail.Greet(near);
        nearSocket.Arrive("a STARTTLS\r\nb LOGIN evil injected\r\n");
        Script.Settle();
        farSocket.Inbox.TakeAll();
        HandshakeDialogue handshake = HandshakeDialogue.AsClient(far, SessionHarness.ClientContext);
        Script.Settle();
        Assert.Equal(HandshakeOutcome.Completed, handshake.Outcome);
        ReadingDialogue client = ReadingDialogue.Start(far);
        far.Write("c CAPABILITY\r\n"u8);
        Script.Settle();
        Assert.Equal("* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN\r\nc OK completed\r\n", client.Read.TakeText());
        Assert.Empty(Script.Kernel.Connected);
    }

    private void AssertNothingLeft()
    {
        Script.Settle();
        Assert.Equal(0, Script.Loop.Connections);
        Assert.Equal(0, Script.Kernel.OpenSockets);
        Assert.Equal(0, Script.Loop.Timers.Count);
    }
}
