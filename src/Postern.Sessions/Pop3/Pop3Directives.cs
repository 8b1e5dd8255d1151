using Postern.Config;

namespace Postern.Sessions.Pop3;

/// <summary>The directives <c>pop3_*</c> of <c>mail</c> and <c>server</c>.</summary>
public static class Pop3Directives
{
    /// <summary>POP3's command buffer in bytes; no directive sets it.</summary>
    internal const int ClientBufferBytes = 128;

    internal static readonly Slot<int> Auth = new((int)AuthMethods.Plain);
    internal static readonly Slot<IReadOnlyList<string>> Capabilities = new(["TOP", "USER", "UIDL"]);

    /// <summary>What is configured; <c>plain</c> stands for LOGIN, too.</summary>
    internal static AuthMethods MethodsOf(ConfigScope server)
    {
        var methods = (AuthMethods)server.Get(Auth);
        return methods.HasFlag(AuthMethods.Plain) ? methods | AuthMethods.Login : methods;
    }

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Keywords(
            "pop3_auth",
            ConfigContexts.MailAndServer,
            Auth,
            new("plain", (int)AuthMethods.Plain),
            new("apop", (int)AuthMethods.Apop),
            new("cram-md5", (int)AuthMethods.CramMd5),
            new("external", (int)AuthMethods.External)),
        Directive.Words("pop3_capabilities", ConfigContexts.MailAndServer, Capabilities),
    ];
}
