using Postern.Interop;
using Postern.Net.Relaying;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tests.Tls;
using Xunit;

namespace Postern.Net.Tests.Relaying;

/// <summary>The copying phase and its ends (mail-proxy 5.7).</summary>
public sealed class RelayTests : IDisposable
{
    private readonly RelayHarness _relay = new();

    private ScriptedLoop Script => _relay.Script;

    private ScriptedSocket Client => _relay.ClientSocket;

    private ScriptedSocket Upstream => _relay.UpstreamSocket;

    public void Dispose() => _relay.Dispose();

    [Fact]
    public void Start_BothSidesHaveSpokenAlready_PassedOnAtOnce()
    {
        Client.Arrive("from client");
        Upstream.Arrive("from upstream");
        _relay.Start();
        Assert.Equal("from client", Upstream.TakeText());
        Assert.Equal("from upstream", Client.TakeText());
    }

    [Fact]
    public void Start_DecryptedBytesWaitInOpenSsl_PassedOnWithoutEvent()
    {
        TlsPair pair = TlsPair.Established(Script);
        pair.Client.Write("a LOGIN\r\nb SELECT inbox\r\n"u8);
        pair.Client.Write("c NOOP\r\n"u8);
        Script.Settle();
        byte[] command = new byte[9];
        Assert.Equal(9, pair.Server.TryRead(command));
        Relay.Start(pair.Server, _relay.Upstream, TimeSpan.FromSeconds(60), _relay);
        Assert.Equal("b SELECT inbox\r\nc NOOP\r\n", Upstream.TakeText());
    }

    [Fact]
    public void OnReady_ReceiverIsFull_SenderIsNotReadUntilItDrains()
    {
        _relay.Start();
        Client.Window = 1000;
        byte[] flood = new byte[3_000_000];
        Upstream.Arrive(flood);
        Script.Settle();
        Assert.True(_relay.Client.UnsentBytes <= LoopBuffers.InBytes, "bounded by one read");
        int unread = Upstream.Inbox.Length;
        Script.Settle();
        Assert.Equal(unread, Upstream.Inbox.Length);

        // The other direction goes on.
        Client.Arrive("still here");
        Script.Settle();
        Assert.Equal("still here", Upstream.TakeText());

        int received = 0;
        Client.Window = 100_000;
        while (received < flood.Length)
        {
            int taken = Client.Take().Length;
            Assert.True(taken > 0, "stalled");
            received += taken;
            Script.Settle();
        }

        Assert.Equal(flood.Length, received);
        Assert.Equal(0, Upstream.Inbox.Length);
    }

    [Fact]
    public void OnReady_MoreThanATurnsShare_OthersGetTheirTurnFirst()
    {
        _relay.Start();
        var (other, otherSocket) = Script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(other);
        Script.Settle();
        Upstream.Arrive(new byte[20 * LoopBuffers.InBytes]);
        otherSocket.Arrive("me too");
        Script.Loop.RunOnce();
        Assert.Equal("me too", dialogue.Read.TakeText());

        // Eight reads when the event came and eight as deferred work of the same turn, at most.
        Assert.InRange(Upstream.Inbox.Length, 4 * LoopBuffers.InBytes, 12 * LoopBuffers.InBytes);
        Script.Settle();
        Assert.Equal(20 * LoopBuffers.InBytes, Client.Outbox.Length);
    }

    [Fact]
    public void UpstreamEnds_ItsLastBytesAreDeliveredThenBothClose()
    {
        _relay.Start();
        Client.Window = 4;
        Upstream.Arrive("* BYE logged out");
        Upstream.ArriveEnd();
        Script.Settle();
        Assert.Null(_relay.Outcome);
        string received = "";
        for (int i = 0; i < 4; i++)
        {
            received += Client.TakeText();
            Script.Settle();
        }

        Assert.Equal("* BYE logged out", received);
        Assert.Equal(RelayOutcome.Done, _relay.Outcome);
        Assert.True(Client.Closed);
        Assert.True(Upstream.Closed);
        Assert.Equal(0, Script.Loop.Timers.Count);
        Assert.Equal(0, Script.Loop.Connections);
    }

    [Fact]
    public void ClientEnds_PassedOnAsFinBehindItsData_UpstreamsAnswerIsDelivered()
    {
        _relay.Start();
        Upstream.Window = 4;
        Client.Arrive("a LOGOUT\r\n");
        Client.ArriveEnd();
        Script.Settle();
        Assert.False(Upstream.EndSent);
        string passed = "";
        for (int i = 0; i < 3; i++)
        {
            passed += Upstream.TakeText();
            Script.Settle();
        }

        Assert.Equal("a LOGOUT\r\n", passed);
        Assert.True(Upstream.EndSent);
        Assert.False(Upstream.Closed);
        Upstream.Arrive("* BYE\r\na OK\r\n");
        Upstream.ArriveEnd();
        Script.Settle();
        Assert.Equal("* BYE\r\na OK\r\n", Client.TakeText());
        Assert.Equal(RelayOutcome.Done, _relay.Outcome);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void ClientEnds_UpstreamStaysSilent_ClosedAfterTwoSeconds()
    {
        _relay.Start();
        Client.ArriveEnd();
        Script.Pass(1900);
        Assert.Null(_relay.Outcome);
        Upstream.Arrive("still talking");
        Script.Pass(1900);
        Assert.Null(_relay.Outcome);
        Script.Pass(200);
        Assert.Equal(RelayOutcome.Done, _relay.Outcome);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void BothEndAtOnce_BothDirectionsDelivered()
    {
        _relay.Start();
        Client.Arrive("last of client");
        Upstream.Arrive("last of upstream");
        Client.ArriveEnd();
        Upstream.ArriveEnd();
        Script.Settle();
        Assert.Equal("last of client", Upstream.TakeText());
        Assert.Equal("last of upstream", Client.TakeText());
        Assert.Equal(RelayOutcome.Done, _relay.Outcome);
        Assert.Equal(1, _relay.Endings);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void BothEndAtOnce_UpstreamIsFull_ItsBytesStillLeave()
    {
        _relay.Start();
        Upstream.Window = 4;
        Client.Arrive("last of client");
        Upstream.Arrive("x");
        Client.ArriveEnd();
        Upstream.ArriveEnd();
        Script.Settle();
        string passed = "";
        for (int i = 0; i < 5; i++)
        {
            passed += Upstream.TakeText();
            Script.Settle();
        }

        Assert.Equal("last of client", passed);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void ClientResets_WhatItSentIsDeliveredAndTheSessionEnds()
    {
        _relay.Start();
        Client.Arrive("before reset");
        Client.Fail(Libc.ECONNRESET);
        Script.Settle();
        Assert.Equal("before reset", Upstream.TakeText());
        Upstream.Arrive("answer to nobody");
        Script.Settle();
        Assert.Equal(RelayOutcome.Done, _relay.Outcome);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void WriteFails_WithoutAnyEvent_BothClosedAtOnce()
    {
        _relay.Start();
        Client.SendError = Libc.ENOBUFS;
        Upstream.Arrive("data");
        Script.Settle();
        Assert.Equal(RelayOutcome.Failed, _relay.Outcome);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void IdleTimeout_RestartedByTrafficOfEitherSide()
    {
        _relay.Start(idleSeconds: 3);
        for (int i = 0; i < 5; i++)
        {
            Script.Pass(2500);
            (i % 2 == 0 ? Upstream : Client).Arrive("alive");
            Script.Settle();
            Assert.Null(_relay.Outcome);
        }

        Script.Pass(2900);
        Assert.Null(_relay.Outcome);
        Script.Pass(200);
        Assert.Equal(RelayOutcome.TimedOut, _relay.Outcome);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void IdleTimeout_UpstreamEndedButClientTakesNothing_TimedOutAndClosed()
    {
        _relay.Start(idleSeconds: 3);
        Client.Window = 1;
        Upstream.Arrive("more than one");
        Upstream.ArriveEnd();
        Script.Pass(3100);
        Assert.Equal(RelayOutcome.TimedOut, _relay.Outcome);
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void ShutDownRemaining_BothClosedOnce()
    {
        _relay.Start();
        Script.Loop.ShutDownRemaining();
        Assert.Equal(RelayOutcome.ShutdownTimeout, _relay.Outcome);
        Assert.Equal(1, _relay.Endings);
        Assert.Equal(0, Script.Kernel.OpenSockets);
        Assert.Equal(0, Script.Loop.Connections);
    }

    [Fact]
    public void ShutDownRemaining_WhileWorkIsDeferred_NothingIsTouchedAfterwards()
    {
        _relay.Start();
        Upstream.Arrive(new byte[40 * LoopBuffers.InBytes]);
        Script.Loop.RunOnce();
        Assert.True(Upstream.Inbox.Length > 0);
        Script.Loop.ShutDownRemaining();
        Script.Settle();
        Assert.Equal(0, Script.Kernel.OpenSockets);
    }

    [Fact]
    public void TlsClient_LastReplyAndCloseNotifyInOneSend()
    {
        TlsPair pair = TlsPair.Established(Script);
        ReadingDialogue client = ReadingDialogue.Start(pair.Client);
        Relay.Start(pair.Server, _relay.Upstream, TimeSpan.FromSeconds(60), _relay);
        Script.Settle();
        Upstream.Arrive("* BYE\r\na OK\r\n");
        Upstream.ArriveEnd();
        Script.Settle();
        Assert.Single(pair.ServerSocket.Sends);
        Assert.Equal("* BYE\r\na OK\r\n", client.Read.TakeText());
        Assert.True(client.Ended);
        pair.Client.Close();
        Script.Settle();
        Assert.Equal(0, Script.Loop.Timers.Count);
    }

    [Fact]
    public void TlsClient_DamagedRecordBehindGoodOnes_GoodOnesPassAndTheSessionEnds()
    {
        TlsPair pair = TlsPair.Established(Script);
        Relay.Start(pair.Server, _relay.Upstream, TimeSpan.FromSeconds(60), _relay);
        Script.Settle();
        pair.ClientSocket.AutoCarry = false;
        pair.Client.Write("good"u8);
        Script.Settle();
        pair.ClientSocket.Carry();
        pair.ServerSocket.Arrive("\x17\x03\x03\x00\x20" + new string('x', 32));
        Script.Settle();
        Assert.Equal("good", Upstream.TakeText());
        Assert.True(Upstream.EndSent);
        Script.Pass(2100);
        Assert.Equal(RelayOutcome.Done, _relay.Outcome);
    }

    [Fact]
    public void Start_RegistrationRefused_EndsWithoutLeak()
    {
        Script.Kernel.AddInterestError = Libc.ENOMEM;
        _relay.Start();
        Assert.NotNull(_relay.Outcome);
        Assert.Equal(0, Script.Kernel.OpenSockets);
        Assert.Equal(0, Script.Loop.Connections);
        Assert.Equal(0, Script.Loop.Timers.Count);
    }
}
