using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Postern.TestKit;
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

    private const int FullBufferBytes = 4096;

    private static readonly int _clients = int.Parse(
        Environment.GetEnvironmentVariable("POSTERN_HOSTILE") is { Length: > 0 } number ? number : "400", NumberStyles.None, CultureInfo.InvariantCulture);

    public enum State
    {
        Greeted,
        CommandWithoutEnd,
        Sasl,
        WaitingForAuth,
        HandshakeWithoutEnd,
        TlsGreeted,
        TlsCommandWithoutEnd,
        TlsWaitingForAuth,
    }

    [Theory]
    [InlineData(State.Greeted, 16)]
    [InlineData(State.CommandWithoutEnd, 16)]
    [InlineData(State.Sasl, 24)]
    [InlineData(State.WaitingForAuth, 24)]
    [InlineData(State.HandshakeWithoutEnd, 96)]
    [InlineData(State.TlsGreeted, 32)]
    [InlineData(State.TlsCommandWithoutEnd, 64)]
    [InlineData(State.TlsWaitingForAuth, 64)]
    public async Task HostileClients_InOneState_StayUnderTheStatedFigure(State state, int kilobytesPerClient)
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
            await HoldAsync(proxy, state, WarmUpClients, held);
            long before = ProcessMemory.KilobytesOf(proxy.Program.ProcessId);

            await HoldAsync(proxy, state, _clients, held);

            long grown = ProcessMemory.KilobytesOf(proxy.Program.ProcessId) - before;
            TestContext.Current.SendDiagnosticMessage($"{state}: {(double)grown / _clients:F1} KB");
            Assert.True(
                grown <= (long)kilobytesPerClient * _clients,
                $"{_clients} clients made memory grow by {grown} KB, {(double)grown / _clients:F1} KB each; {kilobytesPerClient} are stated");
            Assert.True(ConnectionsTo(ProcessPort(proxy, state)).Count >= _clients + WarmUpClients, "some of them were turned away");
        }
        finally
        {
            held.ForEach(stream => stream.Dispose());
        }
    }

    private static int ProcessPort(ProxyPorts proxy, State state) => state < State.HandshakeWithoutEnd ? proxy.StartTls : proxy.Tls;

    /// <summary>Brings so many clients into the state, and waits until the proxy has read all they said.</summary>
    private static async Task HoldAsync(ProxyPorts proxy, State state, int count, List<Stream> held)
    {
        int port = ProcessPort(proxy, state);
        for (int i = 0; i < count; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port));
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (state > State.HandshakeWithoutEnd)
            {
                var tls = new SslStream(stream);
                await tls.AuthenticateAsClientAsync(
                    new SslClientAuthenticationOptions { TargetHost = "test", RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null });
                stream = tls;
            }

            held.Add(stream);
            await SpeakAsync(stream, state);
        }

        await Deadline.UntilAsync(
            () => ConnectionsTo(port).All(waiting => waiting == 0), () => "the proxy does not read", TimeSpan.FromSeconds(30));
    }

    private static async Task SpeakAsync(Stream stream, State state)
    {
        switch (state)
        {
            case State.HandshakeWithoutEnd:
                // A record of the largest size, and a ClientHello beyond it; all of it but the last byte.
                byte[] record = new byte[5 + 16_384 - 1];
                new byte[] { 0x16, 3, 1, 0x40, 0, 1, 0, 0x7F, 0xFF, 3, 3 }.CopyTo(record, 0);
                await stream.WriteAsync(record);
                break;
            case State.Greeted or State.TlsGreeted:
                await ReadLineAsync(stream);
                break;
            case State.CommandWithoutEnd or State.TlsCommandWithoutEnd:
                await ReadLineAsync(stream);
                await stream.WriteAsync(Encoding.ASCII.GetBytes("a LOGIN " + new string('x', FullBufferBytes - 9)));
                break;
            case State.Sasl:
                await ReadLineAsync(stream);
                await stream.WriteAsync("a AUTHENTICATE PLAIN\r\n"u8.ToArray());
                await ReadLineAsync(stream);
                await stream.WriteAsync(Encoding.ASCII.GetBytes(new string('x', FullBufferBytes - 64)));
                break;
            default:
                await ReadLineAsync(stream);
                string half = new('x', (FullBufferBytes - 16) / 2);
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"a LOGIN {half} {half}\r\n"));
                break;
        }
    }

    private static async Task ReadLineAsync(Stream stream)
    {
        byte[] one = new byte[1];
        do
        {
            await stream.ReadExactlyAsync(one);
        }
        while (one[0] != '\n');
    }

    /// <summary>For each connection of the server's side of the port, the bytes that have arrived and were not read.</summary>
    private static List<long> ConnectionsTo(int port)
    {
        const string Established = "01";
        string local = $":{port:X4}";
        return [.. File.ReadLines("/proc/net/tcp")
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields[1].EndsWith(local, StringComparison.Ordinal) && fields[3] == Established)
            .Select(fields => long.Parse(fields[4].AsSpan(fields[4].IndexOf(':', StringComparison.Ordinal) + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
    }
}
