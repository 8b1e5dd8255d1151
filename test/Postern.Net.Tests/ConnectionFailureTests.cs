using Postern.Interop;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>Failures of the kernel reach the dialogue as an exception from its next read, never as a stall or a crash.</summary>
public sealed class ConnectionFailureTests : IDisposable
{
    private readonly ScriptedLoop _script = new();

    public void Dispose() => _script.Dispose();

    [Fact]
    public void Readable_RegistrationRefused_NextReadThrows()
    {
        var (connection, _) = _script.Accept();
        _script.Kernel.AddInterestError = Libc.ENOMEM;
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        Assert.Equal(ConnectionEnd.SocketError, dialogue.Failure!.End);
        Assert.Equal(Libc.ENOMEM, dialogue.Failure.Errno);
        Assert.Equal("epoll_ctl()", dialogue.Failure.Detail);
    }

    [Fact]
    public void Write_RegistrationForTheRestRefused_LoopSurvivesAndReaderIsTold()
    {
        var (connection, socket) = _script.Accept();
        socket.Window = 2;
        _script.Kernel.AddInterestError = Libc.ENOMEM;
        connection.Write("hello"u8);
        _script.Settle();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        Assert.Equal(Libc.ENOMEM, dialogue.Failure!.Errno);
        Assert.False(connection.HasUnsent);
    }

    [Fact]
    public void Drained_WatchingForSpaceRefused_WaitEnds()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        socket.Window = 2;
        _script.Kernel.ModifyInterestError = Libc.ENOMEM;
        connection.Write("hello"u8);
        _script.Settle();
        Assert.Equal(Libc.ENOMEM, dialogue.Failure!.Errno);
    }

    [Theory]
    [InlineData(Libc.ENOBUFS, "send()")]
    [InlineData(Libc.EPIPE, "send()")]
    public void Write_FailsWhileTheDialogueWaitsForInput_DialogueIsWoken(int errno, string call)
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        socket.SendError = errno;
        connection.Write("hello"u8);
        _script.Settle();
        Assert.Equal(errno, dialogue.Failure!.Errno);
        Assert.Equal(call, dialogue.Failure.Detail);
    }

    [Fact]
    public void Write_FailsAfterInputArrived_InputIsReadFirst()
    {
        var (connection, socket) = _script.Accept();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        socket.SendError = Libc.EPIPE;
        connection.Write("hello"u8);
        socket.Arrive("last words");
        _script.Settle();
        Assert.Equal("last words", dialogue.Read.TakeText());
        Assert.Equal(Libc.EPIPE, dialogue.Failure!.Errno);
    }

    [Fact]
    public void Connect_RefusedWhileRequestWaits_ErrnoIsNotLostToSend()
    {
        _script.Kernel.ConnectsAtOnce = false;
        Connection connection = Connection.Connect(_script.Loop, EndpointAddress.TryParseIP("192.0.2.9", 80)!, out _, out _)!;
        connection.Write("GET /"u8);
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        _script.Settle();
        _script.Kernel.Connected[0].Fail(Libc.ECONNREFUSED);
        _script.Settle();
        Assert.Equal(ConnectionEnd.SocketError, dialogue.Failure!.End);
        Assert.Equal(Libc.ECONNREFUSED, dialogue.Failure.Errno);
        Assert.Equal("recv()", dialogue.Failure.Detail);
    }

    [Fact]
    public void Connect_FailsAtOnce_PlaceIsGivenBack()
    {
        _script.Kernel.ConnectError = Libc.ENETUNREACH;
        Assert.Null(Connection.Connect(_script.Loop, EndpointAddress.TryParseIP("192.0.2.9", 80)!, out int errno, out string call));
        Assert.Equal(Libc.ENETUNREACH, errno);
        Assert.Equal("connect() to 192.0.2.9:80", call);
        Assert.Equal(0, _script.Loop.Connections);
    }

    [Fact]
    public void TryRead_AfterClose_ThrowsInsteadOfWaitingForEver()
    {
        var (connection, _) = _script.Accept();
        connection.Close();
        connection.Close();
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        Assert.Equal(ConnectionEnd.EndOfStream, dialogue.Failure!.End);
        connection.Write("dropped"u8);
        connection.CloseGracefully(1000);
        connection.Abort(ConnectionEnd.TimedOut);
        _script.Settle();
        Assert.Equal(0, _script.Loop.Connections);
        Assert.Equal(0, _script.Kernel.OpenSockets);
    }

    [Fact]
    public void Abort_DialogueElsewhere_EndsAtItsNextRead()
    {
        var (connection, _) = _script.Accept();
        connection.Abort(ConnectionEnd.TimedOut);
        ReadingDialogue dialogue = ReadingDialogue.Start(connection);
        Assert.Equal(ConnectionEnd.TimedOut, dialogue.Failure!.End);
    }

    [Fact]
    public void Deadline_FiresAfterConnectionWasClosed_Harmless()
    {
        var (connection, _) = _script.Accept();
        var deadline = new Deadline(_script.Loop);
        deadline.Set(connection, TimeSpan.FromSeconds(1));
        connection.Close();
        _script.Pass(2000);
        Assert.False(deadline.IsArmed);
    }
}
