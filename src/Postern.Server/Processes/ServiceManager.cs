using System.Diagnostics;
using System.Globalization;
using System.Text;
using Postern.Interop;

namespace Postern.Server.Processes;

/// <summary>
/// Tells the service manager how it stands with the service (sd_notify(3), <c>Type=notify</c> or <c>notify-reload</c>). Without one, or
/// when it does not listen, nothing happens.
/// </summary>
internal static class ServiceManager
{
    /// <summary>Clients are served; also after each reload.</summary>
    public static void Ready() => Tell("READY=1");

    /// <summary>A changed configuration is being read; <see cref="Ready"/> follows whatever comes of it.</summary>
    public static void Reloading() => Tell(string.Create(
        CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000)}"));

    /// <summary>The service is about to end.</summary>
    public static void Stopping() => Tell("STOPPING=1");

    /// <summary>The watchdog's sign of life (<see cref="Watchdog"/>).</summary>
    public static void Alive() => Tell("WATCHDOG=1");

    /// <summary>Another process is the one in charge, after an upgrade.</summary>
    public static void MainProcessIs(int process) => Tell(string.Create(CultureInfo.InvariantCulture, $"MAINPID={process}"));

    private static void Tell(string state)
    {
        const int MaxPath = 107;
        string path = Environment.GetEnvironmentVariable("NOTIFY_SOCKET") ?? "";
        byte[] name = Encoding.UTF8.GetBytes(path);
        if (name.Length is 0 or > MaxPath || name[0] is not ((byte)'/' or (byte)'@'))
        {
            return;
        }

        // An abstract name begins with a zero byte and has no end but its length (unix(7)).
        name[0] = name[0] == '@' ? (byte)0 : name[0];
        byte[] address = new byte[2 + name.Length];
        BitConverter.TryWriteBytes(address, (ushort)Libc.AF_UNIX);
        name.CopyTo(address, 2);
        int socket = Libc.log_open_datagram(address);
        if (socket >= 0)
        {
            _ = Libc.log_send_datagram(socket, Encoding.ASCII.GetBytes(state));
            _ = Libc.close(socket);
        }
    }
}
