using Postern.Fuzz.Targets;

namespace Postern.Fuzz;

/// <summary>Everything that can be fuzzed, by name; a target is made when its turn comes.</summary>
internal static class TargetList
{
    public static IReadOnlyDictionary<string, Func<IFuzzTarget>> All { get; } = new Dictionary<string, Func<IFuzzTarget>>
    {
        ["config"] = () => new ConfigTarget(),
        ["imap"] = () => new ImapTarget(),
        ["pop3"] = () => new Pop3Target(),
        ["smtp"] = () => new SmtpTarget(),
        ["sasl"] = () => new SaslTarget(),
        ["proxy"] = () => new ProxyTarget(),
        ["authhttp"] = () => new AuthResponseTarget(),
        ["upstream"] = () => new UpstreamTarget(),
        ["session"] = () => new SessionTarget(),
        ["dns"] = () => new DnsTarget(),
        ["ticket"] = () => new TicketTarget(),
    };
}
