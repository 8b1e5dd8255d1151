using System.Text;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Net.Tests.Tls;

/// <summary>TLS on scripted sockets: bytes inside OpenSSL raise no event, records come in any pieces, sends are few.</summary>
public sealed class TlsConnectionTests : IDisposable
{
    private readonly ScriptedLoop _script = new();

    public void Dispose() => _script.Dispose();

    [Fact]
    public void Handshake_ClientSpeaksInTheFlightOfItsFinished_AnsweredWithoutMoreBytes()
    {
        var pair = new TlsPair(_script, autoCarry: false);
        ReadingDialogue? server = null;
        _ = ServeAsync();
        _ = ClientAsync();
        _script.Settle();
        pair.ClientSocket.Carry();
        _script.Settle();
        pair.ServerSocket.Carry();
        _script.Settle();
        Assert.Equal(2, pair.ClientSocket.Sends.Count); // hello; Finished and command together
        pair.ClientSocket.Carry();
        _script.Settle();
        Assert.Equal("a NOOP\r\n", server!.Read.TakeText());

        async Task ServeAsync()
        {
            Assert.Equal(HandshakeOutcome.Completed, await pair.Server.HandshakeAsServerAsync(TlsPair.ServerContext));
            server = ReadingDialogue.Start(pair.Server);
        }

        async Task ClientAsync()
        {
            Assert.Equal(HandshakeOutcome.Completed, await pair.Client.HandshakeAsClientAsync(TlsPair.ClientContext, null));
            pair.Client.Write("a NOOP\r\n"u8);
        }
    }

    [Fact]
    public void Handshake_TicketsAndGreeting_LeaveInOneSend()
    {
        var pair = new TlsPair(_script, autoCarry: true);
        ReadingDialogue? client = null;
        _ = ServeAsync();
        _ = ClientAsync();
        _script.Settle();
        Assert.Equal("* OK ready\r\n", client!.Read.TakeText());
        Assert.Equal(2, pair.ServerSocket.Sends.Count); // the handshake flight; tickets and greeting

        async Task ServeAsync()
        {
            await pair.Server.HandshakeAsServerAsync(TlsPair.ServerContext);
            pair.Server.Write("* OK "u8);
            pair.Server.Write("ready\r\n"u8);
        }

        async Task ClientAsync()
        {
            await pair.Client.HandshakeAsClientAsync(TlsPair.ClientContext, null);
            client = ReadingDialogue.Start(pair.Client);
        }
    }

    [Fact]
    public void EverythingOneByteAtATime_HandshakeAndData()
    {
        var pair = new TlsPair(_script, autoCarry: false);
        ReadingDialogue? client = null;
        ReadingDialogue? server = null;
        _ = ServeAsync();
        _ = ClientAsync();
        do
        {
            _script.Settle();
        }
        while (pair.ClientSocket.Carry(1) + pair.ServerSocket.Carry(1) > 0);
        Assert.Equal("from client", server!.Read.TakeText());
        Assert.Equal("from server", client!.Read.TakeText());
        Assert.True(pair.Server.IsTls);
        Assert.Equal("TLSv1.3", pair.Server.TlsVersion);

        async Task ServeAsync()
        {
            await pair.Server.HandshakeAsServerAsync(TlsPair.ServerContext);
            pair.Server.Write("from server"u8);
            server = ReadingDialogue.Start(pair.Server);
        }

        async Task ClientAsync()
        {
            await pair.Client.HandshakeAsClientAsync(TlsPair.ClientContext, null);
            pair.Client.Write("from client"u8);
            client = ReadingDialogue.Start(pair.Client);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1000)]
    [InlineData(4096)]
    [InlineData(100_000)]
    public void TryRead_ManyRecordsInOneFlight_AnyBufferGetsAllInOrder(int bufferBytes)
    {
        TlsPair pair = TlsPair.Established(_script);
        pair.ClientSocket.AutoCarry = false;
        StringBuilder sent = new();
        for (int i = 0; i < 60; i++)
        {
            string record = $"{i}:{new string((char)('a' + (i % 26)), i * 7)};";
            sent.Append(record);
            pair.Client.Write(Encoding.ASCII.GetBytes(record));
        }

        pair.Client.Write(new byte[40_000]);
        _script.Settle();
        Assert.Single(pair.ClientSocket.Sends);
        pair.ClientSocket.Carry();
        ReadingDialogue dialogue = ReadingDialogue.Start(pair.Server, bufferBytes);
        _script.Settle();
        Assert.Equal(sent.ToString() + new string('\0', 40_000), dialogue.Read.TakeText());
    }

    [Fact]
    public void Write_MoreThanTheOutBuffer_ArrivesWhole()
    {
        TlsPair pair = TlsPair.Established(_script);
        byte[] data = new byte[1_000_000];
        new Random(1).NextBytes(data);
        ReadingDialogue dialogue = ReadingDialogue.Start(pair.Server);
        pair.Client.Write(data);
        _script.Settle();
        Assert.Equal(data, dialogue.Read.TakeAll());
    }

    [Fact]
    public void Write_ReceiverTakesLittle_KeptAndSentInOrder()
    {
        TlsPair pair = TlsPair.Established(_script);
        pair.ClientSocket.AutoCarry = false;
        pair.ClientSocket.Window = 1000;
        byte[] data = new byte[300_000];
        new Random(2).NextBytes(data);
        ReadingDialogue dialogue = ReadingDialogue.Start(pair.Server);
        pair.Client.Write(data.AsSpan(0, 10_000));
        _script.Settle();
        pair.Client.Write(data.AsSpan(10_000));
        do
        {
            _script.Settle();
        }
        while (pair.ClientSocket.Carry(333) > 0);
        Assert.Equal(data, dialogue.Read.TakeAll());
        Assert.False(pair.Client.HasUnsent);
    }

    [Fact]
    public void CloseGracefully_LastReplyAndCloseNotify_LeaveInOneSendAndEndTheOtherSide()
    {
        TlsPair pair = TlsPair.Established(_script);
        ReadingDialogue client = ReadingDialogue.Start(pair.Client);
        pair.Server.Write("* BYE\r\n"u8);
        pair.Server.CloseGracefully(60_000);
        _script.Settle();
        Assert.Single(pair.ServerSocket.Sends);
        Assert.Equal("* BYE\r\n", client.Read.TakeText());
        Assert.True(client.Ended);
        Assert.False(pair.Server.IsClosed);
        pair.Client.Close();
        _script.Settle();
        Assert.True(pair.Server.IsClosed);
    }

    [Fact]
    public void CloseGracefully_ClientsCloseNotifyCameFirst_NoneFromUs()
    {
        TlsPair pair = TlsPair.Established(_script);
        ReadingDialogue server = ReadingDialogue.Start(pair.Server);
        _script.Settle();
        pair.Client.CloseGracefully(60_000);
        _script.Settle();
        Assert.True(server.Ended);
        pair.Server.CloseGracefully(60_000);
        _script.Settle();
        Assert.Empty(pair.ServerSocket.Sends);
        Assert.True(pair.Server.IsClosed);
    }

    [Fact]
    public void CloseGracefully_HangUpSeenWithLastData_ReplyAndCloseNotifyInOneSendThenClosed()
    {
        TlsPair pair = TlsPair.Established(_script);
        ReadingDialogue server = ReadingDialogue.Start(pair.Server);
        _script.Settle();
        pair.ClientSocket.AutoCarry = false;
        pair.Client.Write("a LOGOUT\r\n"u8);
        _script.Settle();
        pair.ClientSocket.Carry();
        pair.ServerSocket.ArriveEnd();
        _script.Settle();
        Assert.Equal("a LOGOUT\r\n", server.Read.TakeText());
        Assert.True(server.Ended);
        pair.Server.Write("* BYE\r\n"u8);
        pair.Server.CloseGracefully(60_000);
        Assert.Single(pair.ServerSocket.Sends);
        Assert.True(pair.Server.IsClosed);
    }

    [Fact]
    public void HandshakeAsServer_NotTls_FailsWithReason()
    {
        var (server, socket) = _script.Accept();
        HandshakeDialogue dialogue = HandshakeDialogue.AsServer(server, TlsPair.ServerContext);
        socket.Arrive("a LOGIN user password\r\n");
        _script.Settle();
        Assert.Equal(HandshakeOutcome.Failed, dialogue.Outcome);
        Assert.StartsWith("SSL_do_handshake() failed (SSL: error:", server.TlsFailure, StringComparison.Ordinal);
        Assert.True(server.TlsFailureIsPeers);
        server.CloseGracefully(60_000);
        Assert.True(server.IsClosed);
    }

    [Fact]
    public void HandshakeAsServer_BrokenHello_AlertIsSent()
    {
        var (server, socket) = _script.Accept();
        HandshakeDialogue dialogue = HandshakeDialogue.AsServer(server, TlsPair.ServerContext);
        socket.Arrive("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
        _script.Settle();
        Assert.Equal(HandshakeOutcome.Failed, dialogue.Outcome);
        server.CloseGracefully(60_000);
        Assert.Equal(0x15, socket.Take()[0]);
        Assert.True(server.IsClosed);
    }

    [Fact]
    public void HandshakeAsServer_ClientLeaves_PeerClosed()
    {
        var (server, socket) = _script.Accept();
        HandshakeDialogue dialogue = HandshakeDialogue.AsServer(server, TlsPair.ServerContext);
        socket.ArriveEnd();
        _script.Settle();
        Assert.Equal(HandshakeOutcome.PeerClosed, dialogue.Outcome);
        server.Close();
    }

    [Fact]
    public void UnreadBeforeHandshake_WholeHelloWasRead_HandshakeGoesOnWithIt()
    {
        var pair = new TlsPair(_script, autoCarry: false);
        HandshakeDialogue.AsClient(pair.Client, TlsPair.ClientContext);
        _script.Settle();
        pair.ClientSocket.Carry();
        byte[] buffer = new byte[16_000];
        int n = pair.Server.TryRead(buffer);
        pair.Server.UnreadBeforeHandshake(buffer.AsSpan(0, n));
        pair.ClientSocket.AutoCarry = pair.ServerSocket.AutoCarry = true;
        HandshakeDialogue dialogue = HandshakeDialogue.AsServer(pair.Server, TlsPair.ServerContext);
        _script.Settle();
        Assert.Equal(HandshakeOutcome.Completed, dialogue.Outcome);
    }

    [Fact]
    public void TryRead_DamagedRecord_TlsErrorOfThePeer()
    {
        TlsPair pair = TlsPair.Established(_script);
        ReadingDialogue server = ReadingDialogue.Start(pair.Server);
        pair.Client.Write("before"u8);
        _script.Settle();
        pair.ServerSocket.Arrive("\x17\x03\x03\x00\x20" + new string('x', 32));
        _script.Settle();
        Assert.Equal("before", server.Read.TakeText());
        Assert.Equal(ConnectionEnd.TlsError, server.Failure!.End);
        Assert.True(server.Failure.PeersFault);
        Assert.StartsWith("SSL_read() failed (SSL: ", server.Failure.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void TlsFacts_AfterHandshake_AreOpenSslsWords()
    {
        TlsPair pair = TlsPair.Established(_script);
        Assert.Equal("TLSv1.3", pair.Server.TlsVersion);
        Assert.Equal("TLS_AES_256_GCM_SHA384", pair.Server.TlsCipher);
        Assert.Null(pair.Server.TlsServerName);
        Assert.Empty(pair.Server.TlsAlpn);
        Assert.False(pair.Server.TlsResumed);
        Assert.Equal("EC256", pair.Server.TlsCertificateKey);
    }
}
