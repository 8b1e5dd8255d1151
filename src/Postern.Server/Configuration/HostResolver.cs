using System.Net;
using System.Net.Sockets;

namespace Postern.Server.Configuration;

/// <summary>Looks up the host names of a configuration through the system's resolver, once, when it is read.</summary>
public static class HostResolver
{
    /// <summary>A DNS name has at most this many characters.</summary>
    private const int MaxNameLength = 255;

    /// <returns>IPv4 addresses first, as nginx orders them; empty if the name is unknown.</returns>
    public static IReadOnlyList<IPAddress> Resolve(string name)
    {
        ArgumentNullException.ThrowIfNull(name);

        // the lookup takes an empty name for this host's own, and IPv6 addresses with brackets for addresses
        if (name.Length is 0 or > MaxNameLength || name.Contains(':'))
        {
            return [];
        }

        // what an IPv4 address can look like to inet_aton(3), such as 127.1
        if (IPAddress.TryParse(name, out IPAddress? address))
        {
            return [address];
        }

        try
        {
            return [.. Dns.GetHostAddresses(name).OrderBy(found => found.AddressFamily == AddressFamily.InterNetwork ? 0 : 1)];
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            return [];
        }
    }
}
