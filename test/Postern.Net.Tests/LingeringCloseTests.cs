using Postern.Interop;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>How a connection ends when we end it.</summary>
public sealed class LingeringCloseTests : IDisposable
{
    private readonly ScriptedLoop _script = new();

    public void Dispose() => _script.Dispose();

    [Fact]
    public void CloseGracefully_PlainAndNothingUnread_SentAndClosedAtOnce()
    {
        var (connection, socket) = _script.Accept();
        connection.Write("bye"u8);
        connection.CloseGracefully(60_000);
        Assert.Equal("bye", socket.TakeText());
        Assert.True(socket.Closed);
        Assert.False(socket.ClosedWithUnread);
        Assert.Equal(0, _script.Loop.Connections);
    }

    [Fact]
    public void CloseGracefully_UnreadInput_EndIsSentAndSocketStaysUntilTheClientCloses()
    {
        var (connection, socket) = _script.Accept();
        socket.Arrive("more than we read");
        connection.Write("bye"u8);
        connection.CloseGracefully(60_000);
        _script.Settle();
        Assert.True(socket.EndSent);
        Assert.False(socket.Closed);
        socket.Arrive("and more");
        _script.Settle();
        Assert.False(socket.Closed);
        socket.ArriveEnd();
        _script.Settle();
        Assert.True(socket.Closed);
        Assert.False(socket.ClosedWithUnread);
    }

    [Fact]
    public void CloseGracefully_ClientNeverCloses_ClosedAfterThreeSeconds()
    {
        var (connection, socket) = _script.Accept();
        socket.Arrive("unread");
        connection.CloseGracefully(60_000);
        _script.Pass(2900);
        Assert.False(socket.Closed);
        _script.Pass(200);
        Assert.True(socket.Closed);
        Assert.Equal(0, _script.Loop.Timers.Count);
    }

    [Fact]
    public void CloseGracefully_UnsentBytes_SurviveAndThenTheEndFollows()
    {
        var (connection, socket) = _script.Accept();
        socket.Window = 2;
        connection.Write("goodbye"u8);
        connection.CloseGracefully(60_000);
        string received = "";
        for (int i = 0; i < 3; i++)
        {
            Assert.False(socket.EndSent);
            _script.Pass(50_000); // each piece taken restarts the stall limit
            received += socket.TakeText();
            _script.Settle();
        }

        received += socket.TakeText();
        Assert.Equal("goodbye", received);
        Assert.True(socket.EndSent);
        socket.ArriveEnd();
        _script.Settle();
        Assert.True(socket.Closed);
    }

    [Fact]
    public void CloseGracefully_UnsentAndClientHalfClosed_StillDelivered()
    {
        var (connection, socket) = _script.Accept();
        socket.Window = 2;
        connection.Write("goodbye"u8);
        socket.ArriveEnd();
        connection.CloseGracefully(60_000);
        _script.Settle();
        string received = "";
        for (int i = 0; i < 4; i++)
        {
            received += socket.TakeText();
            _script.Settle();
        }

        Assert.Equal("goodbye", received);
        Assert.True(socket.Closed);
    }

    [Fact]
    public void CloseGracefully_NothingTaken_GivenUpAfterTheStallLimit()
    {
        var (connection, socket) = _script.Accept();
        socket.Window = 2;
        connection.Write("goodbye"u8);
        connection.CloseGracefully(60_000);
        _script.Pass(59_000);
        Assert.False(socket.Closed);
        _script.Pass(1100);
        Assert.True(socket.Closed);
    }

    [Fact]
    public void CloseGracefully_ResetMeanwhile_ClosedAtOnce()
    {
        var (connection, socket) = _script.Accept();
        socket.Window = 2;
        connection.Write("goodbye"u8);
        connection.CloseGracefully(60_000);
        _script.Settle();
        socket.Fail(Libc.ECONNRESET);
        _script.Settle();
        Assert.True(socket.Closed);
        Assert.Equal(0, _script.Loop.Timers.Count);
    }

    [Fact]
    public void CloseGracefully_RegistrationRefused_ClosedAndPlaceGivenBack()
    {
        var (connection, socket) = _script.Accept();
        _script.Kernel.AddInterestError = Libc.ENOMEM;
        socket.Arrive("unread");
        connection.CloseGracefully(60_000);
        Assert.True(socket.Closed);
        Assert.Equal(0, _script.Loop.Connections);
        _script.Settle();
    }

    [Fact]
    public void ShutDownRemaining_Lingering_ClosedAtOnce()
    {
        var (connection, socket) = _script.Accept();
        socket.Arrive("unread");
        connection.CloseGracefully(60_000);
        _script.Settle();
        _script.Loop.ShutDownRemaining();
        Assert.True(socket.Closed);
    }
}
