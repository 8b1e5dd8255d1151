using Postern.Fuzz.Targets;

namespace Postern.Fuzz;

/// <summary>Everything that can be fuzzed.</summary>
internal static class TargetList
{
    public static IReadOnlyList<IFuzzTarget> All { get; } =
    [
        new ConfigTarget(), new ImapTarget(), new Pop3Target(), new SmtpTarget(), new SaslTarget(), new ProxyTarget(), new AuthResponseTarget(),
        new UpstreamTarget(),
    ];
}
