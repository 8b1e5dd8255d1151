using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>A mistake in what runs on a loop costs the connection it met, not the loop.</summary>
public sealed class LoopFaultTests
{
    [Fact]
    public void OnEvents_HandlerThrows_ClosesThatConnectionAndReports()
    {
        using ScriptedLoop loop = new();
        List<Exception> faults = [];
        loop.Loop.FaultObserver = faults.Add;
        (Connection broken, ScriptedSocket brokenSocket) = loop.Accept();
        (Connection fine, ScriptedSocket fineSocket) = loop.Accept();
        int heard = 0;
        broken.Watch(() => throw new InvalidOperationException("a mistake"));
        fine.Watch(() => heard++);
        loop.Settle();

        brokenSocket.Arrive("x"u8);
        fineSocket.Arrive("y"u8);
        loop.Settle();

        Assert.IsType<InvalidOperationException>(Assert.Single(faults));
        Assert.True(broken.IsClosed);
        Assert.False(fine.IsClosed);
        Assert.True(heard > 0);
    }

    [Fact]
    public void Post_ActionThrows_LaterActionsRun()
    {
        using ScriptedLoop loop = new();
        List<Exception> faults = [];
        loop.Loop.FaultObserver = faults.Add;
        bool ran = false;
        loop.Loop.Post(() => throw new InvalidOperationException("a mistake"));
        loop.Loop.Post(() => ran = true);

        loop.Settle();

        Assert.Single(faults);
        Assert.True(ran);
    }
}
