using System.Globalization;
using System.Net;
using System.Text;

namespace Postern.Net;

/// <summary>What an address in the configuration may look like beside <c>host:port</c>.</summary>
public enum AddressForm
{
    /// <summary><c>host[:port]</c></summary>
    Host,

    /// <summary><c>host[:port][/uri]</c>, for <c>auth_http</c>.</summary>
    Url,

    /// <summary>Also a port alone, <c>*</c>, and a range of ports, for <c>listen</c>.</summary>
    Listen,
}

/// <summary>An address of the configuration, taken apart and resolved.</summary>
/// <param name="Host">As written, with brackets, without port; empty for unix sockets.</param>
/// <param name="Uri">What stands behind the address, from its <c>/</c> or <c>?</c> on; may be empty.</param>
/// <param name="HasPort">False if the port is only the default.</param>
/// <param name="Addresses">At least one; a host name may yield several, a range one for each port and address.</param>
public sealed record ConfiguredAddress(string Host, string Uri, bool HasPort, IReadOnlyList<EndpointAddress> Addresses);

/// <summary>
/// Reads the addresses of <c>listen</c>, <c>auth_http</c>, <c>resolver</c> and <c>syslog:server=</c>. Their faults have the
/// same words in all four; the caller adds <c> in "…"</c> and what it is.
/// </summary>
/// <param name="resolveHost">Addresses of a host name; empty if there are none.</param>
public sealed class AddressParser(Func<string, IReadOnlyList<IPAddress>> resolveHost)
{
    private const string UnixScheme = "unix:";
    private const int MaxPort = 65535;

    /// <param name="text">The address as written.</param>
    /// <param name="form">What else it may be.</param>
    /// <param name="defaultPort">Used where no port is written.</param>
    /// <param name="error">nginx's words for what is wrong, when null is returned; otherwise null.</param>
    public ConfiguredAddress? Parse(string text, AddressForm form, int defaultPort, out string? error)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.StartsWith(UnixScheme, StringComparison.OrdinalIgnoreCase))
        {
            return ParseUnix(text[UnixScheme.Length..], form, out error);
        }

        if (form == AddressForm.Listen && IsPortAlone(text))
        {
            return ParsePortAlone(text, out error);
        }

        return ParseHost(text, form, defaultPort, out error);
    }

    private static ConfiguredAddress? ParseUnix(string path, AddressForm form, out string? error)
    {
        string uri = "";
        int colon = form == AddressForm.Url ? path.IndexOf(':') : -1;
        if (colon >= 0)
        {
            uri = path[(colon + 1)..];
            path = path[..colon];
        }

        error = path.Length == 0 ? "no path in the unix domain socket"
            : Encoding.UTF8.GetByteCount(path) > EndpointAddress.MaxUnixPathBytes ? "too long path in the unix domain socket"
            : null;
        return error is null ? new ConfiguredAddress("", uri, true, [EndpointAddress.FromUnixPath(path)]) : null;
    }

    private static ConfiguredAddress? ParsePortAlone(string text, out string? error) =>
        TakePorts(text, allowRange: true, out error) is (int first, int last)
            ? new ConfiguredAddress("", "", true, WithPorts([IPAddress.Any], first, last))
            : null;

    private ConfiguredAddress? ParseHost(string text, AddressForm form, int defaultPort, out string? error)
    {
        if (SplitHost(text, out string host, out string? port, out string uri, form) is string fault)
        {
            error = fault;
            return null;
        }

        (int First, int Last)? ports = (defaultPort, defaultPort);
        error = null;
        if (port is not null)
        {
            ports = TakePorts(port, form == AddressForm.Listen, out error);
        }

        if (ports is not (int first, int last))
        {
            return null;
        }

        IReadOnlyList<IPAddress> addresses = Resolve(host, form, out error);
        return error is null ? new ConfiguredAddress(host, uri, port is not null, WithPorts(addresses, first, last)) : null;
    }

    /// <summary>Takes <c>host[:port][/uri]</c> apart.</summary>
    /// <returns>What is wrong, or null.</returns>
    private static string? SplitHost(string text, out string host, out string? port, out string uri, AddressForm form)
    {
        int hostEnd = 0;
        if (text.StartsWith('['))
        {
            hostEnd = text.IndexOf(']') + 1;
            if (hostEnd == 0)
            {
                (host, port, uri) = (text, null, "");
                return "invalid host";
            }
        }

        int uriStart = text.AsSpan(hostEnd).IndexOfAny('/', '?');
        uri = uriStart < 0 ? "" : text[(hostEnd + uriStart)..];
        string authority = text[..^uri.Length];
        int colon = authority.IndexOf(':', hostEnd);
        host = colon < 0 ? authority : authority[..colon];
        port = colon < 0 ? null : authority[(colon + 1)..];
        bool garbage = hostEnd > 0 && host.Length > hostEnd;
        return garbage || (uri.Length > 0 && form != AddressForm.Url) ? "invalid host" : null;
    }

    private IReadOnlyList<IPAddress> Resolve(string host, AddressForm form, out string? error)
    {
        error = null;
        if (host.Length == 0 || host == "[]")
        {
            error = "no host";
            return [];
        }

        if (host.StartsWith('['))
        {
            EndpointAddress? literal = EndpointAddress.TryParseIP(host.AsSpan(1, host.Length - 2), 0);
            error = literal is { Family: AddressFamilyKind.Inet6 } ? null : "invalid IPv6 address";
            return error is null ? [new IPAddress(literal!.AddressBytes)] : [];
        }

        if (host == "*" && form == AddressForm.Listen)
        {
            return [IPAddress.Any];
        }

        IReadOnlyList<IPAddress> addresses = EndpointAddress.TryParseIP(host, 0) is EndpointAddress known
            ? [new IPAddress(known.AddressBytes)]
            : resolveHost(host);
        error = addresses.Count == 0 ? "host not found" : null;
        return addresses;
    }

    /// <summary>Whether text that could also be a host name is a port or a range of ports.</summary>
    private static bool IsPortAlone(string text) => text.Split('-') switch
    {
        [string port] => TryNumber(port, out _),
        [string first, string last] => TryNumber(first, out _) && TryNumber(last, out _),
        _ => false,
    };

    private static (int First, int Last)? TakePorts(string text, bool allowRange, out string? error)
    {
        int dash = allowRange ? text.IndexOf('-') : -1;
        string first = dash < 0 ? text : text[..dash];
        string last = dash < 0 ? text : text[(dash + 1)..];
        if (!TryNumber(first, out long low) || !TryNumber(last, out long high) || low is < 1 or > MaxPort || high is < 1 or > MaxPort)
        {
            error = "invalid port";
            return null;
        }

        error = low > high ? "invalid port range" : null;
        return error is null ? ((int)low, (int)high) : null;
    }

    private static bool TryNumber(string text, out long value) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    /// <summary>Each distinct address with each port of the range.</summary>
    private static List<EndpointAddress> WithPorts(IReadOnlyList<IPAddress> addresses, int first, int last) =>
        [.. addresses.Distinct().SelectMany(
            address => Enumerable.Range(first, last - first + 1).Select(port => EndpointAddress.FromIP(address, port)))];
}
