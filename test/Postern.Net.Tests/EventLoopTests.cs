using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>Turns, places and the end of a loop.</summary>
public sealed class EventLoopTests : IDisposable
{
    private readonly ScriptedLoop _script = new(maxConnections: 3);

    public void Dispose() => _script.Dispose();

    [Fact]
    public void Write_ManyInOneTurn_OneSendPerConnection()
    {
        var (first, firstSocket) = _script.Accept();
        var (second, secondSocket) = _script.Accept();
        first.Write("one "u8);
        first.Write("two "u8);
        second.Write("other"u8);
        first.Write("three"u8);
        _script.Settle();
        Assert.Equal("one two three", firstSocket.TakeText());
        Assert.Equal("other", secondSocket.TakeText());
        Assert.Equal(2, firstSocket.Sends.Count); // the second connection's turn came between
        Assert.Single(secondSocket.Sends);
    }

    [Fact]
    public void Write_LargerThanTheOutBuffer_OrderIsKept()
    {
        var (connection, socket) = _script.Accept();
        byte[] large = new byte[LoopBuffers.OutBytes + 1000];
        new Random(3).NextBytes(large);
        connection.Write("head"u8);
        connection.Write(large);
        connection.Write("tail"u8);
        _script.Settle();
        Assert.Equal([.. "head"u8, .. large, .. "tail"u8], socket.Take());
    }

    [Fact]
    public void TryReserve_AllPathsGiveTheirPlaceBack()
    {
        int wanted = 0;
        _script.Loop.PlacesWanted += () => wanted++;
        var (first, _) = _script.Accept();
        var (second, secondSocket) = _script.Accept();
        Connection third = Connection.Connect(_script.Loop, EndpointAddress.TryParseIP("192.0.2.9", 80)!, out _, out _)!;
        Assert.Null(Connection.Connect(_script.Loop, EndpointAddress.TryParseIP("192.0.2.9", 80)!, out int errno, out string call));
        Assert.Equal(Interop.Libc.EAGAIN, errno);
        Assert.Equal("", call);
        Assert.Equal(1, wanted);
        first.Close();
        first.Close();
        secondSocket.Arrive("unread");
        second.CloseGracefully(1000);
        _script.Settle();
        Assert.Equal(2, _script.Loop.Connections);
        _script.Pass(3100);
        third.Abort(ConnectionEnd.TimedOut);
        third.Close();
        Assert.Equal(0, _script.Loop.Connections);
        Assert.Equal(0, _script.Kernel.OpenSockets);
    }

    [Fact]
    public void TryReserve_HolderGivesUpASparePlace_ItIsTaken()
    {
        Connection spare = _script.Accept().Connection;
        _script.Accept();
        _script.Accept();
        _script.Loop.PlacesWanted += spare.Close;
        Assert.True(_script.Loop.TryReserve());
        Assert.Equal(3, _script.Loop.Connections);
    }

    [Fact]
    public void YieldTurn_OthersComeFirst_AndItSurvivesAStop()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        int turns = 0;
        _ = YieldAsync();
        socket.Arrive("hello");
        _script.Loop.RunOnce();
        Assert.Equal("hello", dialogue.Read.TakeText());
        Assert.Equal(1, turns);
        _script.Loop.ShutDownRemaining();
        connection.Close();
        _script.Settle();
        Assert.Equal(3, turns);

        async Task YieldAsync()
        {
            for (int i = 0; i < 3; i++)
            {
                await _script.Loop.YieldTurn();
                turns++;
            }
        }
    }

    [Fact]
    public void Run_Draining_EndsWithTheLastConnection()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue.Start(connection);
        bool told = false;
        _script.Loop.DrainingStarted += () => told = true;
        _script.Loop.Post(_script.Loop.BeginDraining);
        _script.Loop.Post(() => _script.Loop.Post(() => socket.ArriveEnd()));
        _script.Loop.Post(() => connection.CloseGracefully(1000));
        _script.Loop.Run();
        Assert.True(told);
        Assert.Equal(0, _script.Loop.Connections);
    }

    [Fact]
    public void ShutDownRemaining_DialogueNotYetRegistered_EndsAtItsNextWait()
    {
        var (connection, socket) = _script.Accept();
        socket.Arrive("first");
        _script.Loop.ShutDownRemaining();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        Assert.Equal("first", dialogue.Read.TakeText());
        Assert.Equal(ConnectionEnd.ShutdownTimeout, dialogue.Failure!.End);
    }

    [Fact]
    public void RunOnce_ATurnTookLong_SleepIsReckonedFromNow()
    {
        var (connection, _) = _script.Accept();
        var deadline = new Deadline(_script.Loop);
        deadline.Set(connection, TimeSpan.FromMilliseconds(1000));
        _script.Loop.Post(() => _script.Kernel.PassTime(600));
        _script.Loop.RunOnce();
        _script.Loop.RunOnce();
        Assert.InRange(_script.Kernel.LastTimeout, 380, 420);
    }

    [Fact]
    public void Post_FromAnotherThread_WakesTheRealLoop()
    {
        using var loop = new EventLoop(LinuxSystemCalls.Instance);
        int ran = 0;
        var thread = new Thread(loop.Run);
        thread.Start();
        using var done = new ManualResetEventSlim();
        loop.Post(() =>
        {
            ran++;
            done.Set();
        });
        Assert.True(done.Wait(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
        loop.Stop();
        Assert.True(thread.Join(TimeSpan.FromSeconds(10)));
        Assert.Equal(1, ran);
    }
}
