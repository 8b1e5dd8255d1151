using Postern.Config;

namespace Postern.Sessions.Smtp;

/// <summary>The directives <c>smtp_*</c> of <c>mail</c> and <c>server</c>.</summary>
public static class SmtpDirectives
{
    internal static readonly Slot<int> Auth = new((int)(AuthMethods.Plain | AuthMethods.Login));
    internal static readonly Slot<IReadOnlyList<string>> Capabilities = new([]);
    internal static readonly Slot<int> ClientBuffer = new(4096);
    internal static readonly Slot<TimeSpan> GreetingDelay = new(TimeSpan.Zero);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Keywords(
            "smtp_auth",
            ConfigContexts.MailAndServer,
            Auth,
            new("plain", (int)AuthMethods.Plain),
            new("login", (int)AuthMethods.Login),
            new("cram-md5", (int)AuthMethods.CramMd5),
            new("external", (int)AuthMethods.External),
            new("none", (int)AuthMethods.None)),
        Directive.Words("smtp_capabilities", ConfigContexts.MailAndServer, Capabilities),
        Directive.Size("smtp_client_buffer", ConfigContexts.MailAndServer, ClientBuffer),
        Directive.Milliseconds("smtp_greeting_delay", ConfigContexts.MailAndServer, GreetingDelay),
    ];
}
