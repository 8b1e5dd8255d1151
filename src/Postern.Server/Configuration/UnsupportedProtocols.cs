using Postern.Config;
using Postern.Sessions;

namespace Postern.Server.Configuration;

/// <summary>Refuses servers whose protocol has directives but no sessions yet. To be removed with the last of them.</summary>
internal static class UnsupportedProtocols
{
    private static readonly MailProtocol[] _unsupported = [MailProtocol.Smtp];

    /// <returns>One message for each such server, at its opening brace.</returns>
    public static IEnumerable<ConfigMessage> Find(IEnumerable<MailServerSettings> servers) =>
        servers.Where(server => _unsupported.Contains(server.Protocol)).Select(server => new ConfigMessage(
            ConfigSeverity.Emerg,
            "the \"smtp\" protocol is not supported yet",
            server.Opened));
}
