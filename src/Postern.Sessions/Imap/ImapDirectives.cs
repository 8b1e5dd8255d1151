using Postern.Config;

namespace Postern.Sessions.Imap;

/// <summary>The directives <c>imap_*</c> of <c>mail</c> and <c>server</c>.</summary>
public static class ImapDirectives
{
    internal static readonly Slot<int> Auth = new((int)AuthMethods.Plain);
    internal static readonly Slot<IReadOnlyList<string>> Capabilities = new(["IMAP4", "IMAP4rev1", "UIDPLUS"]);
    internal static readonly Slot<int> ClientBuffer = new(4096);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Keywords(
            "imap_auth",
            ConfigContexts.MailAndServer,
            Auth,
            new("plain", (int)AuthMethods.Plain),
            new("login", (int)AuthMethods.Login),
            new("cram-md5", (int)AuthMethods.CramMd5),
            new("external", (int)AuthMethods.External)),
        Directive.Words("imap_capabilities", ConfigContexts.MailAndServer, Capabilities),
        Directive.Size("imap_client_buffer", ConfigContexts.MailAndServer, ClientBuffer),
    ];
}
