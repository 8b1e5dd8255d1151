using System.Globalization;
using Postern.Config;

namespace Postern.Sessions.Proxying;

/// <summary>The directives of the upstream side: <c>proxy*</c> and <c>xclient</c>.</summary>
public static class ProxyDirectives
{
    /// <summary>
    /// The smallest <c>proxy_buffer</c> in bytes. nginx takes any size and writes behind the end of one under 14; this
    /// much holds the short replies of a login dialogue.
    /// </summary>
    public const int MinProxyBuffer = 128;

    internal static readonly Slot<int> Buffer = new(4096);
    internal static readonly Slot<TimeSpan> Timeout = new(TimeSpan.FromHours(24));
    internal static readonly Slot<bool> PassErrorMessage = new(false);
    internal static readonly Slot<bool> SmtpAuth = new(false);
    internal static readonly Slot<OutgoingProxyProtocol> ProxyProtocol = new(OutgoingProxyProtocol.Off);
    internal static readonly Slot<bool> XClient = new(true);

    private static readonly Slot<bool> _proxy = new(false);

    private static readonly Directive _bufferSize = Directive.Size("proxy_buffer", ConfigContexts.MailAndServer, Buffer);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Flag("proxy", ConfigContexts.MailAndServer, _proxy),
        Directive.Custom("proxy_buffer", ConfigContexts.MailAndServer, 1, 1, ReadBuffer, Buffer),
        Directive.Milliseconds("proxy_timeout", ConfigContexts.MailAndServer, Timeout),
        Directive.Flag("proxy_pass_error_message", ConfigContexts.MailAndServer, PassErrorMessage),
        Directive.Flag("proxy_smtp_auth", ConfigContexts.MailAndServer, SmtpAuth),
        Directive.Keyword(
            "proxy_protocol",
            ConfigContexts.MailAndServer,
            ProxyProtocol,
            new("off", OutgoingProxyProtocol.Off),
            new("on", OutgoingProxyProtocol.V1),
            new("v2", OutgoingProxyProtocol.V2)),
        Directive.Flag("xclient", ConfigContexts.MailAndServer, XClient),
    ];

    private static void ReadBuffer(DirectiveCall call)
    {
        bool first = !call.Scope.Sets(Buffer);
        _bufferSize.Apply(call);
        if (first && call.Scope.Sets(Buffer) && call.Scope.GetOwn(Buffer) < MinProxyBuffer)
        {
            call.Scope.Set(Buffer, MinProxyBuffer);
            call.Warn(string.Create(
                CultureInfo.InvariantCulture, $"\"proxy_buffer\" is too small, {MinProxyBuffer} bytes are used"));
        }
    }
}
