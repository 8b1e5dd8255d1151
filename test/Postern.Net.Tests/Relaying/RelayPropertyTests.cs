using CsCheck;
using Postern.Net.Relaying;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tests.Tls;
using Xunit;

namespace Postern.Net.Tests.Relaying;

/// <summary>
/// Whatever the order of arrivals, events, partial sends and time: every byte written on one side arrives in order on the other, and
/// nothing waits while it could go on.
/// </summary>
public sealed class RelayPropertyTests
{
    private enum Kind
    {
        /// <summary>A far end writes.</summary>
        Write,

        /// <summary>The network moves some bytes one hop.</summary>
        Carry,

        /// <summary>The receiver's window changes.</summary>
        Window,

        /// <summary>One turn of the loop, with few events.</summary>
        Turn,

        /// <summary>The loop runs until it sleeps.</summary>
        Settle,

        /// <summary>Time passes.</summary>
        Time,
    }

    private static readonly Gen<(Kind Kind, bool ByClient, int Amount)[]> _steps = Gen.Select(
        Gen.Int[0, 7].Select(kind => kind switch { 0 or 1 => Kind.Write, 2 or 3 => Kind.Carry, 4 => Kind.Window, 5 => Kind.Turn, 6 => Kind.Settle, _ => Kind.Time }),
        Gen.Bool,
        Gen.OneOf(Gen.Int[1, 20], Gen.Int[1, 5000], Gen.Int[1, 400_000])).Array[1, 40];

    [Fact]
    public void PlainToPlain_RandomInterleaving_EverythingArrivesInOrder() => Play(tls: false, samples: 400);

    [Fact]
    public void TlsToPlain_RandomInterleaving_EverythingArrivesInOrder() => Play(tls: true, samples: 150);

    private static void Play(bool tls, int samples) => _steps.Sample(
        steps =>
        {
            using var world = new World(tls);
            world.Play(steps);
        },
        iter: samples);

    /// <summary>Far client, near client, relay, near upstream, far upstream; the far ends are connections of the same loop.</summary>
    private sealed class World : IDisposable
    {
        private readonly RelayHarness _relay = new();
        private readonly Side _client;
        private readonly Side _upstream;
        private readonly Random _random = new(7);

        public World(bool tls)
        {
            ScriptedLoop script = _relay.Script;
            if (tls)
            {
                TlsPair pair = TlsPair.Established(script);
                pair.ClientSocket.AutoCarry = pair.ServerSocket.AutoCarry = false;
                _relay.Client.Close();
                _relay.Client = pair.Server;
                _client = new Side(pair.Client, pair.ClientSocket, pair.ServerSocket);
            }
            else
            {
                _client = Plain(script, _relay.ClientSocket);
            }

            _upstream = Plain(script, _relay.UpstreamSocket);
            _relay.Start(idleSeconds: 1000);
        }

        public void Play((Kind Kind, bool ByClient, int Amount)[] steps)
        {
            foreach ((Kind kind, bool byClient, int amount) in steps)
            {
                Step(kind, byClient ? _client : _upstream, amount);
            }

            CarryEverything();
            Assert.Equal(_client.Written.TakeAll(), _upstream.Reader.Read.TakeAll());
            Assert.Equal(_upstream.Written.TakeAll(), _client.Reader.Read.TakeAll());
            Assert.Null(_relay.Outcome);

            // And the end: what was said last arrives before the end does.
            Step(Kind.Write, _upstream, 50_000);
            _upstream.Far.CloseGracefully(1000);
            CarryEverything();
            Assert.Equal(_upstream.Written.TakeAll(), _client.Reader.Read.TakeAll());
            Assert.True(_client.Reader.Ended);
            Assert.Equal(RelayOutcome.Done, _relay.Outcome);
        }

        public void Dispose() => _relay.Dispose();

        private static Side Plain(ScriptedLoop script, ScriptedSocket near)
        {
            var (far, socket) = script.Accept();
            ScriptedSocket.Join(socket, near, autoCarry: false);
            return new Side(far, socket, near);
        }

        private void Step(Kind kind, Side side, int amount)
        {
            ScriptedLoop script = _relay.Script;
            switch (kind)
            {
                case Kind.Write:
                    byte[] data = new byte[amount];
                    _random.NextBytes(data);
                    side.Written.Add(data);
                    side.Far.Write(data);
                    break;
                case Kind.Carry:
                    side.FarSocket.Carry(amount);
                    side.NearSocket.Carry(amount);
                    break;
                case Kind.Window:
                    side.NearSocket.Window = side.FarSocket.Window = Math.Max(1, amount % 10_000);
                    side.NearSocket.FreeSpace();
                    side.FarSocket.FreeSpace();
                    break;
                case Kind.Turn:
                    script.Kernel.EventsPerWait = 1 + (amount % 3);
                    script.Loop.RunOnce();
                    script.Kernel.EventsPerWait = int.MaxValue;
                    break;
                case Kind.Settle:
                    script.Settle();
                    break;
                default:
                    script.Pass(amount % 3000);
                    break;
            }
        }

        private void CarryEverything()
        {
            ScriptedSocket[] sockets = [_client.FarSocket, _client.NearSocket, _upstream.FarSocket, _upstream.NearSocket];
            int moved;
            do
            {
                moved = 0;
                _relay.Script.Settle();
                foreach (ScriptedSocket socket in sockets)
                {
                    socket.Window = Math.Max(socket.Window, 5000);
                    socket.FreeSpace();
                    moved += socket.Carry();
                }
            }
            while (moved > 0);
            _relay.Script.Settle();
        }
    }

    /// <summary>One far end: what it wrote and what it read.</summary>
    private sealed class Side(Connection far, ScriptedSocket farSocket, ScriptedSocket nearSocket)
    {
        public Connection Far { get; } = far;

        public ScriptedSocket FarSocket { get; } = farSocket;

        public ScriptedSocket NearSocket { get; } = nearSocket;

        public ByteQueue Written { get; } = new();

        public ReadingDialogue Reader { get; } = ReadingDialogue.Start(far);
    }
}
