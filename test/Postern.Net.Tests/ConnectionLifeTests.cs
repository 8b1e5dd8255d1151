using System.Text;
using CsCheck;
using Postern.Interop;
using Postern.Net.Relaying;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tests.Tls;
using Postern.Net.Tls;
using Xunit;

namespace Postern.Net.Tests;

/// <summary>
/// Connections are opened, shaken hands with, joined, aborted, reset, closed and freed in any order, on descriptor numbers that are handed out
/// again at once: nobody gets another one's bytes, nothing is left, no SSL object is touched by a stranger or when it is gone.
/// </summary>
public sealed class ConnectionLifeTests
{
    private const int Slots = 4;

    /// <summary>What can happen to a connection.</summary>
    private enum Act
    {
        OpenClear,
        OpenTls,
        Say,
        SayFromAfar,
        Carry,
        CarrySome,
        Turn,
        Settle,
        Abort,
        Close,
        CloseGracefully,
        CloseAfar,
        Reset,
        End,
        NoWindow,
        Window,
        Join,
        Shutdown,
        Pass,
        RefuseEvents,
        SendFails,
    }

    private static readonly Gen<(Act Act, int Slot)[]> _script = Gen.Select(
        Gen.Int[0, (int)Act.SendFails].Select(act => (Act)act), Gen.Int[0, Slots - 1], (act, slot) => (act, slot)).Array[1, 120];

    [Fact]
    public void AnyOrderOfActs_NothingIsMixedUpNothingIsLeft()
    {
        _script.Sample(
            acts =>
            {
                int live = SslOwnership.Live;
                using var world = new World();
                foreach ((Act act, int slot) in acts)
                {
                    world.Do(act, slot);
                }

                world.End();
                Assert.Equal(live, SslOwnership.Live);
            },
            iter: Iterations,
            threads: 1,
            print: acts => string.Join(' ', acts.Select(one => $"{one.Act}:{one.Slot}")));
    }

    /// <summary>An event that was fetched for a connection does not reach the one that has its number now.</summary>
    [Fact]
    public void NumberReusedWithinATurn_EventOfTheOldOne_IsNotDelivered()
    {
        using var script = new ScriptedLoop();
        var (first, firstSocket) = script.Accept();
        var (other, otherSocket) = script.Accept();
        Connection? reborn = null;
        int events = 0;
        first.Watch(() =>
        {
            // Both events were fetched by one epoll_wait; this one comes first.
            other.Close();
            (reborn, ScriptedSocket rebornSocket) = script.Accept();
            Assert.Equal(otherSocket.Descriptor, rebornSocket.Descriptor);
            reborn.Watch(() => events++);
        });
        other.Watch(() => events++);
        script.Settle();
        firstSocket.Arrive("x");
        otherSocket.Arrive("y");
        script.Settle();
        Assert.NotNull(reborn);
        Assert.Equal(0, events);
        Assert.Equal(Connection.WouldBlock, reborn.TryRead(new byte[10]));
    }

    [Fact]
    public void SslObject_TouchedByAnotherThread_IsFound()
    {
        using var script = new ScriptedLoop();
        TlsPair pair = TlsPair.Established(script);
        pair.Client.Write("something to decrypt"u8);
        script.Settle();
        Exception? found = null;
        var stranger = new Thread(() => found = Record.Exception(() => pair.Server.TryRead(new byte[10])));
        stranger.Start();
        stranger.Join();
        Assert.Contains("is touched by thread", Assert.IsType<InvalidOperationException>(found).Message, StringComparison.Ordinal);
        pair.Server.Close();
        pair.Client.Close();
    }

    private static int Iterations =>
        Environment.GetEnvironmentVariable("POSTERN_LIVES") is { Length: > 0 } number ? int.Parse(number, System.Globalization.CultureInfo.InvariantCulture) : 1000;

    /// <summary>One loop and the connections on it, near ends and far ends; the script is the kernel between them.</summary>
    private sealed class World : IRelayOwner, IDisposable
    {
        private readonly ScriptedLoop _script = new();
        private readonly Life?[] _lives = new Life?[Slots];
        private readonly List<Life> _all = [];
        private int _relays;
        private int _relaysEnded;

        public void Do(Act act, int slot)
        {
            switch (act)
            {
                case Act.OpenClear or Act.OpenTls when _lives[slot] is null or { IsOver: true }:
                    _all.Add(_lives[slot] = new Life(_script, _all.Count, act == Act.OpenTls));
                    break;
                case Act.Turn:
                    _script.Loop.RunOnce();
                    break;
                case Act.Settle:
                    _script.Settle();
                    break;
                case Act.Pass:
                    _script.Pass(1500);
                    break;
                case Act.Join:
                    Join(_lives[slot], _lives[(slot + 1) % Slots]);
                    break;
                case Act.RefuseEvents:
                    _script.Kernel.ModifyInterestError = _script.Kernel.ModifyInterestError == 0 ? Libc.ENOMEM : 0;
                    break;
                default:
                    _lives[slot]?.Do(act);
                    break;
            }
        }

        public void End()
        {
            _script.Kernel.ModifyInterestError = 0;
            foreach (Life life in _all)
            {
                life.Finish();
            }

            _script.Pass(70_000);
            foreach (Life life in _all)
            {
                life.AssertOnlyOwnBytes();
            }

            Assert.Equal(_relays, _relaysEnded);
            Assert.Equal(0, _script.Kernel.OpenSockets);
            Assert.Equal(0, _script.Loop.Connections);
            Assert.Equal(0, _script.Loop.Timers.Count);
        }

        public void OnRelayEnded(Relay relay, RelayOutcome outcome) => _relaysEnded++;

        public void Dispose() => _script.Dispose();

        /// <summary>Two near ends become the two sides of a relay; what each far end says, the other one hears.</summary>
        private void Join(Life? one, Life? other)
        {
            if (one is not { MayBeJoined: true } || other is not { MayBeJoined: true })
            {
                return;
            }

            one.BeJoinedTo(other);
            _relays++;
            Relay.Start(one.Near, other.Near, TimeSpan.FromSeconds(60), this);
        }
    }

    /// <summary>One connection with its far end, from which it hears only what was said there.</summary>
    private sealed class Life
    {
        private readonly string _mark;
        private readonly bool _tls;
        private readonly ScriptedLoop _script;
        private readonly Connection _far;
        private readonly ScriptedSocket _farSocket;
        private readonly ScriptedSocket _nearSocket;
        private readonly HandshakeDialogue? _nearHandshake;
        private readonly HandshakeDialogue? _farHandshake;
        private ReadingDialogue? _nearReader;
        private ReadingDialogue? _farReader;
        private Life? _joinedTo;
        private bool _farGone;

        public Life(ScriptedLoop script, int number, bool tls)
        {
            _mark = $"<{number}>";
            _tls = tls;
            _script = script;
            (Near, _nearSocket) = script.Accept();
            (_far, _farSocket) = script.Accept();
            ScriptedSocket.Join(_nearSocket, _farSocket, autoCarry: false);
            if (tls)
            {
                _nearHandshake = HandshakeDialogue.AsServer(Near, TlsPair.ServerContext);
                _farHandshake = HandshakeDialogue.AsClient(_far, TlsPair.ClientContext);
            }
        }

        public Connection Near { get; }

        public bool IsOver => Near.IsClosed && _far.IsClosed;

        /// <summary>Nobody waits on it: one waiter at a time is the rule.</summary>
        public bool MayBeJoined => !Near.IsClosed && _joinedTo is null && _nearReader is null && NearIsReady;

        private bool NearIsReady => !_tls || _nearHandshake!.Outcome == HandshakeOutcome.Completed;

        private bool FarIsReady => !_farGone && (!_tls || _farHandshake!.Outcome == HandshakeOutcome.Completed);

        public void BeJoinedTo(Life other) => (_joinedTo, other._joinedTo) = (other, this);

        public void Do(Act act)
        {
            switch (act)
            {
                case Act.Say when NearIsReady && _joinedTo is null && !Near.IsClosed:
                    Near.Write(Encoding.ASCII.GetBytes(_mark + "near "));
                    _nearReader ??= ReadingDialogue.Start(Near, 16);
                    break;
                case Act.SayFromAfar when FarIsReady:
                    _far.Write(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(_mark + "far ", 20))));
                    _farReader ??= ReadingDialogue.Start(_far, 16);
                    break;
                case Act.Carry:
                    _farSocket.Carry();
                    _nearSocket.Carry();
                    break;
                case Act.CarrySome:
                    _farSocket.Carry(7);
                    _nearSocket.Carry(7);
                    break;
                case Act.Abort when _joinedTo is null:
                    Near.Abort(ConnectionEnd.TimedOut);
                    break;
                case Act.Close when _joinedTo is null:
                    Near.Close();
                    break;
                case Act.CloseGracefully when _joinedTo is null:
                    Near.CloseGracefully(1000);
                    break;
                case Act.CloseAfar:
                    LeaveAfar();
                    break;
                case Act.Reset when !_nearSocket.Closed:
                    _nearSocket.Fail(Libc.ECONNRESET);
                    break;
                case Act.End when !_nearSocket.Closed:
                    _nearSocket.ArriveEnd();
                    break;
                case Act.NoWindow:
                    _nearSocket.Window = 0;
                    break;
                case Act.Window:
                    OpenWindow();
                    break;
                case Act.SendFails:
                    _nearSocket.SendError = Libc.ENOBUFS;
                    break;
                default:
                    break;
            }
        }

        public void Finish()
        {
            OpenWindow();
            LeaveAfar();
            if (!_nearSocket.Closed)
            {
                _nearSocket.ArriveEnd();
            }

            if (_joinedTo is null)
            {
                Near.Close();
            }
        }

        public void AssertOnlyOwnBytes()
        {
            AssertRepeats(_nearReader, _mark + "far ");
            AssertRepeats(_farReader, (_joinedTo ?? this)._mark + (_joinedTo is null ? "near " : "far "));
        }

        private void AssertRepeats(ReadingDialogue? reader, string what)
        {
            string heard = reader?.Read.TakeText() ?? "";
            string expected = string.Concat(Enumerable.Repeat(what, (heard.Length / what.Length) + 1));
            Assert.True(expected.StartsWith(heard, StringComparison.Ordinal), $"{_mark} heard \"{heard}\"");
        }

        private void OpenWindow()
        {
            _nearSocket.Window = int.MaxValue;
            if (!_nearSocket.Closed)
            {
                _nearSocket.FreeSpace();
            }
        }

        private void LeaveAfar()
        {
            if (!_farGone)
            {
                _farGone = true;
                _far.Close();
                _script.Loop.RunOnce();
            }
        }
    }
}
