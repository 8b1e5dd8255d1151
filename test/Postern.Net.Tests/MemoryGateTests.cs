using Postern.Net.Tests.Relaying;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tests.Tls;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>What a loop does when the kernel has little memory left.</summary>
public sealed class MemoryGateTests
{
    private const long Megabyte = 1024 * 1024;

    [Theory]
    [InlineData(MemoryGate.HeadroomBytes, MemoryRoom.Plenty)]
    [InlineData(MemoryGate.HeadroomBytes - 1, MemoryRoom.Short)]
    [InlineData(MemoryGate.CriticalBytes, MemoryRoom.Short)]
    [InlineData(MemoryGate.CriticalBytes - 1, MemoryRoom.Critical)]
    public void Take_SoMuchIsLeft_IsKnown(long left, object room)
    {
        var kernel = new ScriptedSystemCalls { MemoryLeft = left };
        var gate = new MemoryGate(kernel);
        gate.Take((int)Megabyte, now: 0);
        Assert.Equal(room, gate.Room);
        Assert.Equal(room is MemoryRoom.Plenty, gate.HasRoom(0));
    }

    [Fact]
    public void HasRoom_MemoryComesBack_IsAskedForAgainAfterAWhile()
    {
        var kernel = new ScriptedSystemCalls { MemoryLeft = 0 };
        var gate = new MemoryGate(kernel);
        int times = 0;
        gate.BecameShort = () => times++;
        gate.Take(1, now: 0);
        Assert.False(gate.HasRoom(1));
        kernel.MemoryLeft = long.MaxValue;
        Assert.False(gate.HasRoom(2));
        Assert.True(gate.HasRoom(1000));
        Assert.Equal(1, times);
    }

    [Fact]
    public void HasRoom_NobodyTakesAnything_KernelIsNotAsked()
    {
        var kernel = new ScriptedSystemCalls { MemoryLeft = 0 };
        var gate = new MemoryGate(kernel);
        Assert.True(gate.HasRoom(1_000_000));
    }

    [Fact]
    public void Handshake_MemoryIsShort_ClientIsTurnedAwayAndTheNextOneServedLater()
    {
        using var script = new ScriptedLoop();
        script.Kernel.MemoryLeft = Megabyte;
        Assert.Equal(ConnectionEnd.OutOfMemory, Shake(script));
        script.Kernel.MemoryLeft = long.MaxValue;
        script.Pass(1000);
        Assert.Null(Shake(script));
    }

    [Fact]
    public void Turn_MemoryIsCritical_DialoguesWithClientsEndAndRelaysGoOn()
    {
        using var relay = new RelayHarness();
        relay.Start();
        List<ReadingDialogue> dialogues = [];
        for (int i = 0; i < 300; i++)
        {
            dialogues.Add(ReadingDialogue.Start(relay.Script.Accept().Connection));
        }

        relay.Script.Settle();
        relay.Script.Kernel.MemoryLeft = MemoryGate.CriticalBytes - 1;
        relay.Script.Loop.Memory.Take((int)Megabyte, relay.Script.Loop.Now);
        relay.Script.Settle();
        Assert.Equal(256, dialogues.Count(dialogue => dialogue.Failure?.End == ConnectionEnd.OutOfMemory));

        // Memory is asked for again after a while; it is still not there.
        relay.Script.Kernel.PassTime(1000);
        relay.Script.Loop.RunOnce();
        Assert.Equal(300, dialogues.Count(dialogue => dialogue.Failure?.End == ConnectionEnd.OutOfMemory));
        relay.ClientSocket.Arrive("hello");
        relay.Script.Settle();
        Assert.Equal("hello", relay.UpstreamSocket.TakeText());
        Assert.Null(relay.Outcome);
    }

    [Fact]
    public void Relay_MemoryIsShort_ReadsLittleOfWhatItMustKeep()
    {
        using var relay = new RelayHarness();
        relay.Start();
        relay.Script.Kernel.MemoryLeft = MemoryGate.CriticalBytes;
        relay.Script.Loop.Memory.Take((int)Megabyte, relay.Script.Loop.Now);
        relay.UpstreamSocket.Window = 0;
        relay.ClientSocket.Arrive(new byte[100_000]);
        relay.Script.Settle();
        Assert.Equal(16 * 1024, relay.Upstream.UnsentBytes);
    }

    /// <summary>How a server's handshake ended early; null = it did not.</summary>
    private static ConnectionEnd? Shake(ScriptedLoop script)
    {
        // The far side needs no memory of ours.
        var pair = new TlsPair(script, autoCarry: true);
        ConnectionEnd? end = null;
        _ = ServeAsync();
        _ = pair.Client.HandshakeAsClientAsync(TlsPair.ClientContext, null).AsTask();
        script.Settle();
        pair.Server.Close();
        pair.Client.Close();
        return end;

        async Task ServeAsync()
        {
            try
            {
                Assert.Equal(HandshakeOutcome.Completed, await pair.Server.HandshakeAsServerAsync(TlsPair.ServerContext));
            }
            catch (ConnectionEndedException ended)
            {
                end = ended.End;
            }
        }
    }
}
