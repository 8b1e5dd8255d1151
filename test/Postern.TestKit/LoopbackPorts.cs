using System.Net;
using System.Net.Sockets;

namespace Postern.TestKit;

/// <summary>Hands out loopback TCP ports nobody uses, each once in the life of this process.</summary>
public static class LoopbackPorts
{
    // Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes a port between being
    // handed out here and being bound by the program it is for.
    private const int First = 10_000;
    private const int Count = 20_000;

    // Test processes run beside each other: each begins somewhere else.
    private static int _next = Environment.ProcessId * 211 % Count;

    /// <summary>A free port of 127.0.0.1, at least 10000.</summary>
    public static int Next()
    {
        for (int tries = 0; tries < Count; tries++)
        {
            int port = First + ((Interlocked.Increment(ref _next) & int.MaxValue) % Count);
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Taken: try the next one.
            }
        }

        throw new InvalidOperationException("No loopback port is free.");
    }

    /// <summary>
    /// Whether something listens on the IPv4 port, by the kernel's own table: unlike a probing connection this leaves
    /// no trace in the log of the program under test.
    /// </summary>
    public static bool IsListening(int port)
    {
        const string listenState = "0A";
        foreach (string line in File.ReadLines("/proc/net/tcp").Skip(1))
        {
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields[3] == listenState && Convert.ToInt32(fields[1].Split(':')[1], 16) == port)
            {
                return true;
            }
        }

        return false;
    }
}
