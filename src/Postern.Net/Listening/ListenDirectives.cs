using Postern.Config;

namespace Postern.Net.Listening;

/// <summary>One <c>listen</c> line: a port range or a host name makes several addresses of it.</summary>
/// <param name="Position">The line.</param>
/// <param name="Addresses">At least one, all with the line's parameters.</param>
public sealed record ListenLine(ConfigPosition Position, IReadOnlyList<ListenSettings> Addresses);

/// <summary>Directive <c>listen</c> (mail-proxy reference 2.2).</summary>
public static class ListenDirectives
{
    /// <summary>The server's lines, without the faulty ones.</summary>
    public static readonly Slot<IReadOnlyList<ListenLine>> Lines = new([]);

    /// <summary>Whether there was any line, so that a faulty one is not also reported as missing.</summary>
    private static readonly Slot<bool> _attempted = new(false);

    /// <summary>In the mail scope: what all servers listen on.</summary>
    private static readonly Slot<HashSet<EndpointAddress>?> _taken = new(null);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Custom("listen", ConfigContexts.Server, 1, Directive.AnyNumber, Listen),
    ];

    /// <summary>Whether the server has a <c>listen</c> line, good or bad.</summary>
    public static bool IsAttempted(ConfigScope server)
    {
        ArgumentNullException.ThrowIfNull(server);
        return server.Sets(_attempted);
    }

    private static void Listen(DirectiveCall call)
    {
        call.Scope.Set(_attempted, true);
        string text = call.Arguments[0];
        AddressParser parser = new(call.Environment.ResolveHost);
        if (parser.Parse(text, AddressForm.Listen, 0, out string? error) is not ConfiguredAddress address)
        {
            call.Error($"{error} in \"{text}\" of the \"listen\" directive");
            return;
        }

        // nginx binds a random port here, which no administrator can have meant
        if (!address.HasPort)
        {
            call.Error($"no port in \"{text}\" of the \"listen\" directive");
            return;
        }

        if (ListenParameters.Parse(call, address.Addresses[0]) is ListenSettings settings && Take(call, address.Addresses))
        {
            call.Scope.Append(Lines, new ListenLine(call.Position, [.. address.Addresses.Select(one => settings with { Address = one })]));
        }
    }

    /// <summary>Claims the addresses for this line; an address belongs to exactly one server.</summary>
    private static bool Take(DirectiveCall call, IReadOnlyList<EndpointAddress> addresses)
    {
        ConfigScope mail = call.Scope.Parent ?? call.Scope;
        HashSet<EndpointAddress> taken = mail.GetOwn(_taken) ?? [];
        mail.Set(_taken, taken);
        foreach (EndpointAddress address in addresses)
        {
            if (!taken.Add(address))
            {
                call.Error($"duplicate \"{address}\" address and port pair");
                return false;
            }
        }

        return true;
    }
}

/// <summary>The parameters of <c>listen</c>. A repeated one overrides.</summary>
internal static class ListenParameters
{
    /// <returns>Null after an error, which has been reported.</returns>
    public static ListenSettings? Parse(DirectiveCall call, EndpointAddress address)
    {
        ListenSettings? settings = new() { Address = address };
        foreach (string parameter in call.Arguments.Skip(1))
        {
            settings = Apply(call, parameter, settings);
            if (settings is null)
            {
                return null;
            }
        }

        return settings;
    }

    private static ListenSettings? Apply(DirectiveCall call, string parameter, ListenSettings settings)
    {
        int equals = parameter.IndexOf('=');
        string value = parameter[(equals + 1)..];
        return parameter[..(equals + 1)] switch
        {
            "" => ApplyWord(call, parameter, settings),
            "backlog=" => Number(value) is int backlog
                ? settings with { Backlog = backlog, OwnSocket = true }
                : Fail(call, $"invalid backlog \"{parameter}\""),
            "rcvbuf=" => Size(value) is int bytes
                ? settings with { ReceiveBufferBytes = bytes, OwnSocket = true }
                : Fail(call, $"invalid rcvbuf \"{parameter}\""),
            "sndbuf=" => Size(value) is int bytes
                ? settings with { SendBufferBytes = bytes, OwnSocket = true }
                : Fail(call, $"invalid sndbuf \"{parameter}\""),
            "ipv6only=" => ApplyIpv6(call, parameter, value, settings),
            "so_keepalive=" => ApplyKeepAlive(call, value, settings),
            _ => Invalid(call, parameter),
        };
    }

    private static ListenSettings? ApplyWord(DirectiveCall call, string parameter, ListenSettings settings) => parameter switch
    {
        "ssl" => settings with { Ssl = true },
        "proxy_protocol" => settings with { ProxyProtocol = true },
        "bind" => settings with { OwnSocket = true },
        "multipath" => settings with { Multipath = true, OwnSocket = true },
        _ => Invalid(call, parameter),
    };

    private static ListenSettings? ApplyIpv6(DirectiveCall call, string parameter, string value, ListenSettings settings) => value switch
    {
        "on" => settings with { Ipv6Only = true, OwnSocket = true },
        "off" => settings with { Ipv6Only = false, OwnSocket = true },
        _ when value.StartsWith('o') => Fail(call, $"invalid ipv6only flags \"{value}\""),
        _ => Invalid(call, parameter),
    };

    private static ListenSettings? ApplyKeepAlive(DirectiveCall call, string value, ListenSettings settings)
    {
        if (value is "on" or "off")
        {
            return settings with { KeepAlive = value == "on", OwnSocket = true };
        }

        string[] parts = value.Split(':');
        int? idle = KeepAlivePart(parts, 0, Seconds);
        int? interval = KeepAlivePart(parts, 1, Seconds);
        int? count = KeepAlivePart(parts, 2, Count);
        bool valid = parts.Length <= 3 && idle is not null && interval is not null && count is not null;
        if (!valid || (idle == 0 && interval == 0 && count == 0))
        {
            return Fail(call, $"invalid so_keepalive value: \"{value}\"");
        }

        return settings with
        {
            KeepAlive = true,
            KeepAliveIdleSeconds = idle!.Value,
            KeepAliveIntervalSeconds = interval!.Value,
            KeepAliveCount = count!.Value,
            OwnSocket = true,
        };
    }

    /// <returns>0 for a part left out, null for a bad one.</returns>
    private static int? KeepAlivePart(string[] parts, int index, Func<string, int?> parse) =>
        index >= parts.Length || parts[index].Length == 0 ? 0 : parse(parts[index]);

    private static int? Seconds(string text) => ValueParsers.Seconds(text) is long value and <= int.MaxValue ? (int)value : null;

    private static int? Count(string text) => ValueParsers.Number(text) is long value and <= int.MaxValue ? (int)value : null;

    private static int? Number(string text) => ValueParsers.Number(text) is long value and > 0 and <= int.MaxValue ? (int)value : null;

    private static int? Size(string text) => ValueParsers.Size(text) is long value and <= int.MaxValue ? (int)value : null;

    private static ListenSettings? Invalid(DirectiveCall call, string parameter) => Fail(call, $"invalid parameter \"{parameter}\"");

    private static ListenSettings? Fail(DirectiveCall call, string message)
    {
        call.Error(message);
        return null;
    }
}
