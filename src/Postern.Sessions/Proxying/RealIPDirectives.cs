using Postern.Config;
using Postern.Net;

namespace Postern.Sessions.Proxying;

/// <summary>Directive <c>set_real_ip_from</c> (mail-proxy reference 2.5, 6.2).</summary>
public static class RealIPDirectives
{
    internal static readonly Slot<IReadOnlyList<AddressRange>> From = new([]);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Custom("set_real_ip_from", ConfigContexts.MailAndServer, 1, 1, Read),
    ];

    private static void Read(DirectiveCall call)
    {
        string text = call.Arguments[0];
        IReadOnlyList<AddressRange> ranges = AddressRange.Parse(text, call.Environment.ResolveHost, out bool hostBits);
        if (ranges.Count == 0)
        {
            call.Error($"host not found in set_real_ip_from \"{text}\"");
            return;
        }

        if (hostBits)
        {
            call.Warn($"low address bits of {text} are meaningless");
        }

        foreach (AddressRange range in ranges)
        {
            call.Scope.Append(From, range);
        }
    }
}
