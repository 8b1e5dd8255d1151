using System.Text;
using Postern.Interop;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>No wake-up is lost, whenever data, ends and errors arrive.</summary>
public sealed class ConnectionWakeUpTests : IDisposable
{
    private readonly ScriptedLoop _script = new();

    public void Dispose() => _script.Dispose();

    [Fact]
    public void TryRead_DataBeforeRegistration_ReadWithoutEvent()
    {
        var (connection, socket) = _script.Accept();
        socket.Arrive("hello");
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        Assert.Equal("hello", dialogue.Read.TakeText());
        Assert.Equal(1, socket.Receives);
    }

    [Fact]
    public void Readable_DataBetweenShortReadAndRegistration_Wakes()
    {
        var (connection, socket) = _script.Accept();
        byte[] buffer = new byte[64];
        socket.Arrive("one");
        Assert.Equal(3, connection.TryRead(buffer));
        socket.Arrive("two");

        // Not seen: the short read proved the socket empty. Registering must tell of it.
        Assert.Equal(Connection.WouldBlock, connection.TryRead(buffer));
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        Assert.Equal("two", dialogue.Read.TakeText());
    }

    [Fact]
    public void ReadableWithin_InputOrTime_WhicheverIsFirst()
    {
        var (connection, socket) = _script.Accept();
        byte[] buffer = new byte[64];
        List<int> reads = [];
        _ = ReadTwiceAsync();
        _script.Pass(50);
        Assert.Empty(reads);
        socket.Arrive("early");
        _script.Settle();
        Assert.Equal([5], reads);
        _script.Pass(150);
        Assert.Equal([5, Connection.WouldBlock], reads);

        async Task ReadTwiceAsync()
        {
            Assert.Equal(Connection.WouldBlock, connection.TryRead(buffer));
            await connection.ReadableWithin(TimeSpan.FromMilliseconds(100));
            reads.Add(connection.TryRead(buffer));
            await connection.ReadableWithin(TimeSpan.FromMilliseconds(100));
            reads.Add(connection.TryRead(buffer));
        }
    }

    [Fact]
    public void OnEvents_DialogueNotWaiting_RememberedUntilItReads()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue first = ReadingDialogue.Start(connection);
        socket.Arrive("wake");
        _script.Settle();
        Assert.Equal("wake", first.Read.TakeText());

        var pause = new Pause(_script.Loop);
        var (other, otherSocket) = _script.Accept();
        string read = "";
        _ = ReadAfterPauseAsync();
        _script.Settle();
        otherSocket.Arrive("early");
        _script.Settle();
        Assert.Equal("", read);
        pause.Release();
        _script.Settle();
        Assert.Equal("early", read);

        async Task ReadAfterPauseAsync()
        {
            byte[] buffer = new byte[64];
            Assert.Equal(Connection.WouldBlock, other.TryRead(buffer));
            other.Write("x"u8);
            otherSocket.Window = 0;
            await pause;
            int n;
            while ((n = other.TryRead(buffer)) == Connection.WouldBlock)
            {
                await other.Readable();
            }

            read = Encoding.ASCII.GetString(buffer, 0, n);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(64)]
    public void TryRead_BufferSmallerEqualLarger_EverythingInOrder(int bufferBytes)
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection, bufferBytes);
        foreach (string piece in (string[])["abcd", "e", "fghijklm", "nopq"])
        {
            socket.Arrive(piece);
            _script.Settle();
        }

        Assert.Equal("abcdefghijklmnopq", dialogue.Read.TakeText());
    }

    /// <summary>recv(2) stops at urgent data: neither the end nor the silence that a short read stands for otherwise.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TryRead_UrgentDataInTheMiddle_EverythingBehindItIsRead(bool ends)
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        socket.Arrive("before");
        socket.ArriveUrgent();
        socket.Arrive("behind");
        if (ends)
        {
            socket.ArriveEnd();
        }

        _script.Settle();
        Assert.Equal("beforebehind", dialogue.Read.TakeText());
        Assert.Equal(ends, dialogue.Ended);
    }

    /// <summary>Announced by one event, the last bytes and the reset behind them are still two things: the second one belongs into the log.</summary>
    [Fact]
    public void TryRead_ResetBehindTheLastBytes_IsNotTakenForTheEnd()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        socket.Arrive("last words");
        socket.Fail(Libc.ECONNRESET);
        _script.Settle();
        Assert.Equal("last words", dialogue.Read.TakeText());
        Assert.False(dialogue.Ended);
        Assert.Equal(Libc.ECONNRESET, dialogue.Failure?.Errno);
    }

    /// <summary>Urgent data before anybody has waited for events.</summary>
    [Fact]
    public void TryRead_UrgentDataBeforeRegistration_EverythingBehindItIsRead()
    {
        var (connection, socket) = _script.Accept();
        socket.Arrive("before");
        socket.ArriveUrgent();
        socket.Arrive("behind");
        socket.ArriveEnd();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        Assert.Equal("beforebehind", dialogue.Read.TakeText());
        Assert.True(dialogue.Ended);
    }

    [Fact]
    public void TryRead_LastDataTogetherWithEnd_NoConfirmingRead()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        socket.Arrive("bye");
        socket.ArriveEnd();
        int before = socket.Receives;
        _script.Settle();
        Assert.Equal("bye", dialogue.Read.TakeText());
        Assert.True(dialogue.Ended);
        Assert.Equal(before + 1, socket.Receives);
    }

    [Fact]
    public void TryRead_LastDataFillsBufferTogetherWithEnd_EndIsSeen()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection, bufferBytes: 3);
        socket.Arrive("byebye");
        socket.ArriveEnd();
        _script.Settle();
        Assert.Equal("byebye", dialogue.Read.TakeText());
        Assert.True(dialogue.Ended);
    }

    [Fact]
    public void TryRead_Reset_SocketErrorWithErrno()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        socket.Fail(Libc.ECONNRESET);
        _script.Settle();
        Assert.Equal(ConnectionEnd.SocketError, dialogue.Failure!.End);
        Assert.Equal(Libc.ECONNRESET, dialogue.Failure.Errno);
    }

    [Fact]
    public void Drained_DataArrivesMeanwhile_NotWokenButNotForgotten()
    {
        var (connection, socket) = _script.Accept();
        socket.Window = 2;
        string state = "";
        string read = "";
        _ = WriteThenReadAsync();
        _script.Settle();
        socket.Arrive("input");
        _script.Settle();
        Assert.Equal("waiting", state);
        Assert.Equal("lo", TakeAndSettle());
        Assert.Equal("ng", TakeAndSettle());
        Assert.Equal("!", TakeAndSettle());
        Assert.Equal("drained", state);
        Assert.Equal("input", read);

        async Task WriteThenReadAsync()
        {
            connection.Write("long!"u8);
            state = "waiting";
            await connection.Drained();
            state = "drained";
            byte[] buffer = new byte[64];
            while (true)
            {
                int n = connection.TryRead(buffer);
                if (n > 0)
                {
                    read = Encoding.ASCII.GetString(buffer, 0, n);
                    return;
                }

                await connection.Readable();
            }
        }

        string TakeAndSettle()
        {
            string text = socket.TakeText();
            _script.Settle();
            return text;
        }
    }

    [Fact]
    public void BeginIdle_OnlySpaceIsAnnounced_StaysUsable()
    {
        var (idle, idleSocket) = _script.Accept();
        idleSocket.Connecting = true;
        idle.Write("request"u8);
        _script.Settle();
        idleSocket.Establish();
        _script.Settle();
        Assert.Equal("request", idleSocket.TakeText());
        Assert.Equal(Connection.WouldBlock, idle.TryRead(new byte[8]));
        idle.BeginIdle();
        idleSocket.Establish(); // the same edge again
        _script.Settle();
        Assert.False(idle.IsClosed);
        Assert.True(idle.EndIdle());
        idle.BeginIdle();
        idleSocket.ArriveEnd();
        _script.Settle();
        Assert.True(idle.IsClosed);
    }

    [Fact]
    public void Dispatch_EventForReusedDescriptorAndSlot_IsDropped()
    {
        var (first, firstSocket) = _script.Accept();
        var (second, secondSocket) = _script.Accept();
        ReadingDialogue fresh = null!;
        bool swapped = false;
        _ = SwapAsync();
        ReadingDialogue.Start(second);
        _script.Settle();

        // Both events are fetched in one wait; the first one's handler closes the second and a new socket takes its number and slot.
        firstSocket.Arrive("go");
        secondSocket.Arrive("stale");
        int index = second.TableIndex;
        _script.Loop.RunOnce();
        Assert.True(swapped);
        Assert.Equal(0, fresh.Read.Length);
        Assert.Equal(index, _freshConnection!.TableIndex);
        _freshSocket!.Arrive("mine");
        _script.Settle();
        Assert.Equal("mine", fresh.Read.TakeText());

        async Task SwapAsync()
        {
            while (first.TryRead(new byte[8]) == Connection.WouldBlock)
            {
                await first.Readable();
            }

            second.Close();
            (_freshConnection, _freshSocket) = _script.Accept();
            Assert.Equal(secondSocket.Descriptor, _freshSocket.Descriptor);
            fresh = ReadingDialogue.Start(_freshConnection);
            swapped = true;
        }
    }

    [Fact]
    public void Register_MoreThanTheTableHolds_EachGetsItsEvents()
    {
        const int Count = 200;
        List<(ReadingDialogue Dialogue, ScriptedSocket Socket)> all = [];
        for (int i = 0; i < Count; i++)
        {
            var (connection, socket) = _script.Accept();
            all.Add((ReadingDialogue.Start(connection), socket));
        }

        for (int i = 0; i < Count; i++)
        {
            all[i].Socket.Arrive($"to {i}");
        }

        _script.Settle();
        for (int i = 0; i < Count; i++)
        {
            Assert.Equal($"to {i}", all[i].Dialogue.Read.TakeText());
        }
    }

    private Connection? _freshConnection;
    private ScriptedSocket? _freshSocket;

    /// <summary>Something else a dialogue waits for.</summary>
    private sealed class Pause(EventLoop loop) : System.Runtime.CompilerServices.INotifyCompletion
    {
        private Action? _continuation;

        public bool IsCompleted => false;

        public Pause GetAwaiter() => this;

        public void OnCompleted(Action continuation) => _continuation = continuation;

        public void GetResult()
        {
        }

        public void Release() => loop.Post(_continuation!);
    }
}
