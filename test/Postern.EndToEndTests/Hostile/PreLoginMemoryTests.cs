using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>
/// docs/security.md, "Memory before login": what one client that nobody has vouched for can make the published program hold. Measured is
/// the growth of the proportional set size, so kernel buffers are not in it. <c>POSTERN_HOSTILE</c> says how many clients (default 400).
/// </summary>
public sealed class PreLoginMemoryTests
{
    /// <summary>Buffers and tables that grow once, and the first ones' garbage, are there before anything is measured.</summary>
    private const int WarmUpClients = 100;

    private static readonly int _clients = int.Parse(
        Environment.GetEnvironmentVariable("POSTERN_HOSTILE") is { Length: > 0 } number ? number : "400", NumberStyles.None, CultureInfo.InvariantCulture);

    [Theory]
    [InlineData(HostileState.Greeted, 16)]
    [InlineData(HostileState.CommandWithoutEnd, 16)]
    [InlineData(HostileState.Sasl, 24)]
    [InlineData(HostileState.WaitingForAuth, 24)]
    [InlineData(HostileState.HandshakeWithoutEnd, 96)]
    [InlineData(HostileState.TlsGreeted, 32)]
    [InlineData(HostileState.TlsCommandWithoutEnd, 64)]
    [InlineData(HostileState.TlsWaitingForAuth, 64)]
    public async Task HostileClients_InOneState_StayUnderTheStatedFigure(HostileState state, int kilobytesPerClient)
    {
        using var auth = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        auth.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        auth.Listen(4096);
        int authPort = ((IPEndPoint)auth.LocalEndPoint!).Port;
        await using ProxyPorts proxy = await ProxyPorts.StartAsync(
            string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{authPort}/"), (_clients * 2) + 4096);
        List<Stream> held = [];
        try
        {
            await HostileClients.HoldAsync(proxy, state, WarmUpClients, held);
            long before = ProcessMemory.KilobytesOf(proxy.Program.ProcessId);

            await HostileClients.HoldAsync(proxy, state, _clients, held);

            long grown = ProcessMemory.KilobytesOf(proxy.Program.ProcessId) - before;
            TestContext.Current.SendDiagnosticMessage($"{state}: {(double)grown / _clients:F1} KB");
            Assert.True(
                grown <= (long)kilobytesPerClient * _clients,
                $"{_clients} clients made memory grow by {grown} KB, {(double)grown / _clients:F1} KB each; {kilobytesPerClient} are stated");
            Assert.True(HostileClients.ConnectionsTo(HostileClients.PortOf(proxy, state)).Count >= _clients + WarmUpClients, "some of them were turned away");
        }
        finally
        {
            held.ForEach(stream => stream.Dispose());
        }
    }
}
