using Postern.TestKit.Hostile;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>The dialects as the scripted sessions serve them.</summary>
internal static class Dialects
{
    public static Dialect Of(MailProtocol protocol) => Dialect.Of(MailProtocols.AlpnName(protocol));

    public static MailServerSettings Apply(MailServerSettings settings, MailProtocol protocol) => settings with
    {
        Protocol = protocol,
        AuthMethods = AuthMethods.Plain | AuthMethods.Login | AuthMethods.CramMd5 | AuthMethods.External
            | (protocol == MailProtocol.Pop3 ? AuthMethods.Apop : 0),
        ClientBufferBytes = protocol == MailProtocol.Pop3 ? 128 : 4096,
        Capabilities = [],
        ServerName = "mx.example.test",
    };
}
