using CsCheck;
using Postern.Interop;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tests.Tls;
using Xunit;

namespace Postern.Net.Tests.Relaying;

/// <summary>However connections fail under a relay: the loop lives, the relay ends once, nothing is left behind.</summary>
public sealed class RelayFaultTests
{
    private static readonly Gen<(int Kind, bool OnClient, int Amount)[]> _steps =
        Gen.Select(Gen.Int[0, 10], Gen.Bool, Gen.OneOf(Gen.Int[1, 100], Gen.Int[1, 300_000])).Array[1, 30];

    [Fact]
    public void RandomFaults_EverythingIsGivenBack() => _steps.Sample(
        steps =>
        {
            using var relay = new RelayHarness();
            relay.Start(idleSeconds: 100);
            foreach ((int kind, bool onClient, int amount) in steps)
            {
                Step(relay, kind, onClient ? relay.ClientSocket : relay.UpstreamSocket, amount);
            }

            relay.Script.Kernel.ModifyInterestError = 0;
            relay.Script.Pass(400_000);
            Assert.NotNull(relay.Outcome);
            Assert.Equal(1, relay.Endings);
            Assert.Equal(0, relay.Script.Kernel.OpenSockets);
            Assert.Equal(0, relay.Script.Loop.Connections);
            Assert.Equal(0, relay.Script.Loop.Timers.Count);
        },
        iter: 2000);

    [Fact]
    public void RandomFaultsUnderTls_EverythingIsGivenBack() => _steps.Sample(
        steps =>
        {
            using var relay = new RelayHarness();
            TlsPair pair = TlsPair.Established(relay.Script);
            relay.Client.Close();
            relay.Client = pair.Server;
            relay.Start(idleSeconds: 100);
            ReadingDialogue.Start(pair.Client);
            foreach ((int kind, bool onClient, int amount) in steps)
            {
                if (onClient && kind < 2 && amount % 8 != 0)
                {
                    pair.Client.Write(new byte[amount]); // else the client's bytes are no TLS
                }
                else if (onClient && kind == 2 && amount % 2 == 0)
                {
                    pair.Client.CloseGracefully(1000);
                }
                else
                {
                    // The two ends of the TLS pair carry on by themselves: with a window of a few bytes that takes more turns
                    // than a loop that comes to rest is granted.
                    int size = kind == 6 ? Math.Max(64, amount) : amount;
                    Step(relay, kind, onClient ? pair.ServerSocket : relay.UpstreamSocket, size);
                }
            }

            relay.Script.Kernel.ModifyInterestError = 0;
            pair.Client.Close();
            relay.Script.Pass(400_000);
            Assert.NotNull(relay.Outcome);
            Assert.Equal(1, relay.Endings);
            Assert.Equal(0, relay.Script.Kernel.OpenSockets);
            Assert.Equal(0, relay.Script.Loop.Connections);
            Assert.Equal(0, relay.Script.Loop.Timers.Count);
        },
        iter: 400);

    private static void Step(RelayHarness relay, int kind, ScriptedSocket socket, int amount)
    {
        if (socket.Closed)
        {
            return;
        }

        switch (kind)
        {
            case 0 or 1:
                if (!socket.EndArrived)
                {
                    socket.Arrive(new byte[amount]);
                }

                break;
            case 2:
                socket.ArriveEnd();
                break;
            case 3:
                socket.Fail(amount % 2 == 0 ? Libc.ECONNRESET : Libc.ETIMEDOUT);
                break;
            case 4:
                socket.SendError = Libc.EPIPE;
                break;
            case 5:
                relay.Script.Kernel.ModifyInterestError = amount % 2 == 0 ? Libc.ENOMEM : 0;
                break;
            case 6:
                socket.Window = amount;
                socket.FreeSpace();
                break;
            case 7:
                socket.Take();
                break;
            case 8:
                relay.Script.Loop.RunOnce();
                break;
            case 9:
                relay.Script.Pass(amount % 3000);
                break;
            default:
                if (amount % 10 == 0)
                {
                    relay.Script.Loop.ShutDownRemaining();
                }

                break;
        }
    }
}
