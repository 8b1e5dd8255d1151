using Postern.Config;
using Postern.Net;
using Postern.Net.Resolving;

namespace Postern.Sessions;

/// <summary>The directives <c>resolver</c> and <c>resolver_timeout</c> (mail-proxy reference 2.5).</summary>
public static class ResolverDirectives
{
    private const int DnsPort = 53;

    /// <summary>Null = off.</summary>
    private static readonly Slot<ResolverSettings?> _resolver = new(null);
    private static readonly Slot<TimeSpan> _timeout = new(TimeSpan.FromSeconds(30));

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Once("resolver", ConfigContexts.MailAndServer, 1, Directive.AnyNumber, _resolver, Read),
        Directive.Milliseconds("resolver_timeout", ConfigContexts.MailAndServer, _timeout),
    ];

    /// <summary>One server's resolver, or null if it has none.</summary>
    public static ResolverSettings? Merge(ConfigScope server)
    {
        ArgumentNullException.ThrowIfNull(server);
        return server.Get(_resolver) is ResolverSettings resolver ? resolver with { Timeout = server.Get(_timeout) } : null;
    }

    private static void Read(DirectiveCall call)
    {
        // nginx looks at nothing behind a leading "off"
        if (call.Arguments[0] == "off")
        {
            call.Scope.Set(_resolver, null);
            return;
        }

        List<EndpointAddress> servers = [];
        ResolverSettings? settings = new() { Servers = servers };
        foreach (string argument in call.Arguments)
        {
            settings = Apply(call, argument, settings, servers);
            if (settings is null)
            {
                return;
            }
        }

        if (servers.Count == 0)
        {
            call.Error("no name servers defined");
            return;
        }

        call.Scope.Set(_resolver, settings);
    }

    /// <returns>Null after an error, which has been reported.</returns>
    private static ResolverSettings? Apply(DirectiveCall call, string argument, ResolverSettings settings, List<EndpointAddress> servers)
    {
        string[] pair = argument.Split('=', 2);
        ResolverSettings? changed = pair switch
        {
            ["valid", string value] => ValueParsers.Seconds(value) is long seconds
                ? settings with { Valid = TimeSpan.FromSeconds(Math.Min(seconds, int.MaxValue)) }
                : null,
            ["ipv4", "on" or "off"] => settings with { IPv4 = pair[1] == "on" },
            ["ipv6", "on" or "off"] => settings with { IPv6 = pair[1] == "on" },
            ["ipv4" or "ipv6", _] => null,
            _ => AddServer(call, argument, servers) ? settings : null,
        };
        if (changed is null && pair is ["valid" or "ipv4" or "ipv6", _])
        {
            call.Error($"invalid parameter: {argument}");
        }
        else if (changed is { IPv4: false, IPv6: false })
        {
            call.Error("\"ipv4\" and \"ipv6\" cannot both be \"off\"");
            return null;
        }

        return changed;
    }

    private static bool AddServer(DirectiveCall call, string text, List<EndpointAddress> servers)
    {
        AddressParser parser = new(call.Environment.ResolveHost);
        if (parser.Parse(text, AddressForm.Host, DnsPort, out string? error) is not ConfiguredAddress address)
        {
            call.Error($"{error} in resolver \"{text}\"");
            return false;
        }

        servers.AddRange(address.Addresses);
        return true;
    }
}
