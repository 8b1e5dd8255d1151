using Postern.Net.Relaying;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tests.Tls;
using Xunit;

namespace Postern.Net.Tests.Relaying;

/// <summary>The copying phase allocates nothing per operation.</summary>
public sealed class RelayAllocationTests : IDisposable
{
    private const int Rounds = 200;

    private readonly RelayHarness _relay = new();
    private readonly byte[] _sink = new byte[1_000_000];

    public void Dispose() => _relay.Dispose();

    [Theory]
    [InlineData(40)]
    [InlineData(300_000)]
    public void Plain_RoundTrips_AllocateNothing(int bytes)
    {
        _relay.Start();
        byte[] data = new byte[bytes];
        Measure(() =>
        {
            Pass(_relay.ClientSocket, _relay.UpstreamSocket, data);
            Pass(_relay.UpstreamSocket, _relay.ClientSocket, data);
        });
    }

    [Theory]
    [InlineData(40)]
    [InlineData(100_000)]
    public void Tls_RoundTrips_AllocateNothing(int bytes)
    {
        TlsPair pair = TlsPair.Established(_relay.Script);
        ReadingDialogue reader = ReadingDialogue.Start(pair.Client);
        Relay.Start(pair.Server, _relay.Upstream, TimeSpan.FromSeconds(60), _relay);
        byte[] data = new byte[bytes];
        Measure(() =>
        {
            pair.Client.Write(data);
            Turns();
            Check(_relay.UpstreamSocket.Outbox.Take(_sink), bytes);
            _relay.UpstreamSocket.Arrive(data);
            Turns();
            Check(reader.Read.Take(_sink), bytes);
            pair.ClientSocket.Sends.Clear();
            pair.ServerSocket.Sends.Clear();
            _relay.UpstreamSocket.Sends.Clear();
        });
    }

    [Fact]
    public void Plain_ReceiverTakesLittle_ParkingAllocatesNothing()
    {
        _relay.Start();
        _relay.UpstreamSocket.Window = 30_000;
        byte[] data = new byte[100_000];
        Measure(() =>
        {
            _relay.ClientSocket.Arrive(data);
            int received = 0;
            while (received < data.Length)
            {
                Turns();
                received += _relay.UpstreamSocket.Outbox.Take(_sink);
                _relay.UpstreamSocket.FreeSpace();
            }

            _relay.UpstreamSocket.Sends.Clear();
        });
    }

    private static void Measure(Action round)
    {
        for (int i = 0; i < 50; i++)
        {
            round();
        }

        // A collection caused by tests on other threads empties the array pool, and the runtime may compile a method anew
        // on this thread. Neither happens in every attempt; what an operation allocates does.
        const int Attempts = 5;
        long least = long.MaxValue;
        for (int attempt = 0; attempt < Attempts && least > 0; attempt++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Rounds; i++)
            {
                round();
            }

            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }

    /// <summary>Assert.Equal allocates.</summary>
    private static void Check(int passed, int expected)
    {
        if (passed != expected)
        {
            Assert.Fail($"{passed} of {expected} bytes were passed on");
        }
    }

    private void Pass(ScriptedSocket from, ScriptedSocket to, byte[] data)
    {
        from.Arrive(data);
        Turns();
        Check(to.Outbox.Take(_sink), data.Length);
        to.Sends.Clear();
    }

    private void Turns()
    {
        for (int i = 0; i < 3; i++)
        {
            _relay.Script.Loop.RunOnce();
        }
    }
}
