using Postern.Config;
using Postern.Net.Listening;

namespace Postern.Net.Tls;

/// <summary>The TLS directives of <c>mail</c> and <c>server</c> (TLS reference, section 3).</summary>
public static class TlsDirectives
{
    private const string DataScheme = "data:";

    private static readonly Slot<StartTls> _startTls = new(StartTls.Off);
    private static readonly Slot<ConfigPosition> _startTlsLine = new(ConfigPosition.None);
    private static readonly Slot<IReadOnlyList<string>> _certificates = new([]);
    private static readonly Slot<IReadOnlyList<string>> _keys = new([]);
    private static readonly Slot<int> _protocols = new((int)(TlsProtocols.TLSv12 | TlsProtocols.TLSv13));
    private static readonly Slot<ConfigPosition> _protocolsLine = new(ConfigPosition.None);
    private static readonly Slot<string?> _ciphers = new("HIGH:!aNULL:!MD5");
    private static readonly Slot<bool> _preferServerCiphers = new(false);

    private static readonly Directive _startTlsKeyword = Directive.Keyword(
        "starttls", ConfigContexts.MailAndServer, _startTls, new("off", StartTls.Off), new("on", StartTls.On), new("only", StartTls.Only));

    private static readonly Directive _protocolKeywords = Directive.Keywords(
        "ssl_protocols",
        ConfigContexts.MailAndServer,
        _protocols,
        new("SSLv2", (int)TlsProtocols.SSLv2),
        new("SSLv3", (int)TlsProtocols.SSLv3),
        new("TLSv1", (int)TlsProtocols.TLSv1),
        new("TLSv1.1", (int)TlsProtocols.TLSv11),
        new("TLSv1.2", (int)TlsProtocols.TLSv12),
        new("TLSv1.3", (int)TlsProtocols.TLSv13));

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Custom("starttls", ConfigContexts.MailAndServer, 1, 1, ReadStartTls),
        Directive.Custom("ssl_certificate", ConfigContexts.MailAndServer, 1, 1, call => Append(call, _certificates)),
        Directive.Custom("ssl_certificate_key", ConfigContexts.MailAndServer, 1, 1, call => Append(call, _keys)),
        Directive.Custom("ssl_protocols", ConfigContexts.MailAndServer, 1, Directive.AnyNumber, ReadProtocols),
        Directive.Text("ssl_ciphers", ConfigContexts.MailAndServer, _ciphers),
        Directive.Flag("ssl_prefer_server_ciphers", ConfigContexts.MailAndServer, _preferServerCiphers),
    ];

    /// <summary>
    /// Merges one server's directives, once the mail block is complete. A server that needs TLS must have certificates, each
    /// with a key; one that does not need it may say anything.
    /// </summary>
    /// <param name="server">The server's scope.</param>
    /// <param name="call">Takes errors; its environment resolves relative paths.</param>
    /// <param name="alpnName">The server's protocol: <c>imap</c>, <c>pop3</c>, <c>smtp</c>.</param>
    /// <returns>Null after an error, which has been reported.</returns>
    public static TlsServerSettings? Merge(ConfigScope server, DirectiveCall call, string alpnName)
    {
        ArgumentNullException.ThrowIfNull(server);
        ArgumentNullException.ThrowIfNull(call);
        StartTls startTls = server.Get(_startTls);
        ListenLine? listen = server.GetOwn(ListenDirectives.Lines).LastOrDefault(line => line.Addresses[0].Ssl);
        bool needed = listen is not null || startTls != StartTls.Off;
        IReadOnlyList<string> certificates = server.Get(_certificates);
        IReadOnlyList<string> keys = server.Get(_keys);
        string? fault = needed ? FindMissing(certificates, keys, listen is null ? "starttls" : "listen ... ssl") : null;
        if (fault is not null)
        {
            call.ErrorAt(listen?.Position ?? server.Get(_startTlsLine), fault);
            return null;
        }

        var settings = new TlsServerSettings
        {
            StartTls = startTls,
            Certificates = [.. certificates.Select(certificate => Resolve(certificate, call))],
            CertificateKeys = [.. keys.Select(key => Resolve(key, call))],
            Protocols = (TlsProtocols)server.Get(_protocols),
            ProtocolsPosition = server.Get(_protocolsLine),
            Ciphers = server.Get(_ciphers)!,
            PreferServerCiphers = server.Get(_preferServerCiphers),
            Needed = needed,
        };
        return needed ? Load(settings, call, alpnName) : settings;
    }

    /// <summary>Files are opened now, as nginx does it: a bad one is an error of the configuration, without position.</summary>
    private static TlsServerSettings? Load(TlsServerSettings settings, DirectiveCall call, string alpnName)
    {
        foreach (string warning in TlsCapabilities.FindUnsupported(settings.Protocols, out bool anyLeft))
        {
            call.WarnAt(settings.ProtocolsPosition, warning);
            if (!anyLeft)
            {
                call.ErrorAt(settings.ProtocolsPosition, "no protocol in \"ssl_protocols\" is supported by the OpenSSL library");
                return null;
            }
        }

        try
        {
            TlsContext context = TlsContextFactory.CreateServer(settings, alpnName);
            if (context.SecurityLevel > 0 && (settings.Protocols & (TlsProtocols.TLSv1 | TlsProtocols.TLSv11)) != 0)
            {
                call.WarnAt(
                    settings.ProtocolsPosition,
                    "TLSv1 and TLSv1.1 in \"ssl_protocols\" need \"@SECLEVEL=0\" in \"ssl_ciphers\", handshakes with them will fail");
            }

            return settings with { Context = context };
        }
        catch (TlsSettingsException e)
        {
            call.ErrorAt(ConfigPosition.None, e.Message);
            return null;
        }
    }

    private static void ReadStartTls(DirectiveCall call)
    {
        _startTlsKeyword.Apply(call);
        call.Scope.Set(_startTlsLine, call.Position);
    }

    private static void ReadProtocols(DirectiveCall call)
    {
        _protocolKeywords.Apply(call);
        call.Scope.Set(_protocolsLine, call.Position);
    }

    private static void Append(DirectiveCall call, Slot<IReadOnlyList<string>> list) => call.Scope.Append(list, call.Arguments[0]);

    private static string? FindMissing(IReadOnlyList<string> certificates, IReadOnlyList<string> keys, string mode) =>
        certificates.Count == 0 ? $"no \"ssl_certificate\" is defined for the \"{mode}\" directive"
        : keys.Count == 0 ? $"no \"ssl_certificate_key\" is defined for the \"{mode}\" directive"
        : keys.Count < certificates.Count
            ? $"no \"ssl_certificate_key\" is defined for certificate \"{Shown(certificates[^1])}\" and the \"{mode}\" directive"
        : null;

    /// <summary>What messages show of a certificate: of one written out in the configuration only that it is.</summary>
    private static string Shown(string certificate) =>
        certificate.StartsWith(DataScheme, StringComparison.Ordinal) ? "data:..." : certificate;

    /// <summary>An absolute path; values with a scheme of their own stay as they are.</summary>
    private static string Resolve(string value, DirectiveCall call) =>
        value.StartsWith(DataScheme, StringComparison.Ordinal)
        || value.StartsWith("engine:", StringComparison.Ordinal)
        || value.StartsWith("store:", StringComparison.Ordinal)
            ? value
            : call.Environment.UnderConfigDirectory(value);
}
