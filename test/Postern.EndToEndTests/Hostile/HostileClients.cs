using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Postern.TestKit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>What a client does before anybody has vouched for it, as docs/security.md lists it under "Memory before login".</summary>
public enum HostileState
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

/// <summary>Clients that go as far as a state, and wait there.</summary>
internal static class HostileClients
{
    private const int FullBufferBytes = 4096;

    /// <summary>The port at which a client comes into the state.</summary>
    public static int PortOf(ProxyPorts proxy, HostileState state) => state < HostileState.HandshakeWithoutEnd ? proxy.StartTls : proxy.Tls;

    /// <summary>Brings so many clients into the state, and waits until the proxy has read all they said.</summary>
    public static async Task HoldAsync(ProxyPorts proxy, HostileState state, int count, List<Stream> held)
    {
        for (int i = 0; i < count; i++)
        {
            held.Add(await EnterAsync(proxy, state));
        }

        int port = PortOf(proxy, state);
        await Deadline.UntilAsync(
            () => ConnectionsTo(port).All(waiting => waiting == 0), () => "the proxy does not read", TimeSpan.FromSeconds(30));
    }

    /// <summary>One client that comes into the state and stays there.</summary>
    public static async Task<Stream> EnterAsync(ProxyPorts proxy, HostileState state)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, PortOf(proxy, state)));
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        if (state > HostileState.HandshakeWithoutEnd)
        {
            var tls = new SslStream(stream);
            await tls.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions { TargetHost = "test", RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null });
            stream = tls;
        }

        await SpeakAsync(stream, state);
        return stream;
    }

    private static async Task SpeakAsync(Stream stream, HostileState state)
    {
        switch (state)
        {
            case HostileState.HandshakeWithoutEnd:
                // A record of the largest size, and a ClientHello beyond it; all of it but the last byte.
                byte[] record = new byte[5 + 16_384 - 1];
                new byte[] { 0x16, 3, 1, 0x40, 0, 1, 0, 0x7F, 0xFF, 3, 3 }.CopyTo(record, 0);
                await stream.WriteAsync(record);
                break;
            case HostileState.Greeted or HostileState.TlsGreeted:
                await ReadLineAsync(stream);
                break;
            case HostileState.CommandWithoutEnd or HostileState.TlsCommandWithoutEnd:
                await ReadLineAsync(stream);
                await stream.WriteAsync(Encoding.ASCII.GetBytes("a LOGIN " + new string('x', FullBufferBytes - 9)));
                break;
            case HostileState.Sasl:
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
    public static List<long> ConnectionsTo(int port)
    {
        const string Established = "01";
        string local = $":{port:X4}";
        return [.. File.ReadLines("/proc/net/tcp")
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields[1].EndsWith(local, StringComparison.Ordinal) && fields[3] == Established)
            .Select(fields => long.Parse(fields[4].AsSpan(fields[4].IndexOf(':', StringComparison.Ordinal) + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
    }
}
