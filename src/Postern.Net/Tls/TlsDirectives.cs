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
    private static readonly Slot<bool> _ssl = new(false);
    private static readonly Slot<ConfigPosition> _sslLine = new(ConfigPosition.None);
    private static readonly Slot<bool> _certificateCompression = new(false);
    private static readonly Slot<string?> _curves = new("auto");
    private static readonly Slot<string?> _dhParam = new(null);
    private static readonly Slot<IReadOnlyList<KeyValuePair<string, string>>> _confCommands = new([]);
    private static readonly Slot<KeyPassphrases?> _passphrases = new(null);
    private static readonly Slot<ClientCertificatePolicy> _verifyClient = new(ClientCertificatePolicy.Off);
    private static readonly Slot<int> _verifyDepth = new(1);
    private static readonly Slot<string?> _clientAuthorities = new(null);
    private static readonly Slot<string?> _trustedAuthorities = new(null);
    private static readonly Slot<string?> _revocationLists = new(null);
    private static readonly Slot<long> _sessionTimeout = new(300);
    private static readonly Slot<bool> _sessionTickets = new(true);
    private static readonly Slot<IReadOnlyList<string>> _ticketKeys = new([]);

    /// <summary>In the main scope: what was said already, because servers share certificates.</summary>
    private static readonly Slot<IReadOnlyList<string>> _remarks = new([]);

    private static readonly Directive _startTlsKeyword = Directive.Keyword(
        "starttls", ConfigContexts.MailAndServer, _startTls, new("off", StartTls.Off), new("on", StartTls.On), new("only", StartTls.Only));

    private static readonly Directive _sslFlag = Directive.Flag("ssl", ConfigContexts.MailAndServer, _ssl);

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
        Directive.Custom("starttls", ConfigContexts.MailAndServer, 1, 1, ReadStartTls, _startTls),
        Directive.Custom("ssl_certificate", ConfigContexts.MailAndServer, 1, 1, call => Append(call, _certificates)),
        Directive.Custom("ssl_certificate_key", ConfigContexts.MailAndServer, 1, 1, call => Append(call, _keys)),
        Directive.Custom("ssl_protocols", ConfigContexts.MailAndServer, 1, Directive.AnyNumber, ReadProtocols, _protocols),
        Directive.Text("ssl_ciphers", ConfigContexts.MailAndServer, _ciphers),
        Directive.Flag("ssl_prefer_server_ciphers", ConfigContexts.MailAndServer, _preferServerCiphers),
        Directive.Custom("ssl", ConfigContexts.MailAndServer, 1, 1, ReadSsl, _ssl),
        Directive.Flag("ssl_certificate_compression", ConfigContexts.MailAndServer, _certificateCompression),
        Directive.Text("ssl_ecdh_curve", ConfigContexts.MailAndServer, _curves),
        Directive.Text("ssl_dhparam", ConfigContexts.MailAndServer, _dhParam),
        Directive.Custom("ssl_conf_command", ConfigContexts.MailAndServer, 2, 2, call =>
            call.Scope.Append(_confCommands, KeyValuePair.Create(call.Arguments[0], call.Arguments[1]))),
        Directive.Once("ssl_password_file", ConfigContexts.MailAndServer, _passphrases, ReadPassphrases),
        Directive.Keyword(
            "ssl_verify_client",
            ConfigContexts.MailAndServer,
            _verifyClient,
            new("off", ClientCertificatePolicy.Off),
            new("on", ClientCertificatePolicy.On),
            new("optional", ClientCertificatePolicy.Optional),
            new("optional_no_ca", ClientCertificatePolicy.OptionalNoCa)),
        Directive.Number("ssl_verify_depth", ConfigContexts.MailAndServer, _verifyDepth),
        Directive.Text("ssl_client_certificate", ConfigContexts.MailAndServer, _clientAuthorities),
        Directive.Text("ssl_trusted_certificate", ConfigContexts.MailAndServer, _trustedAuthorities),
        Directive.Text("ssl_crl", ConfigContexts.MailAndServer, _revocationLists),
        Directive.Custom("ssl_session_cache", ConfigContexts.MailAndServer, 1, 2, SessionCacheDirective.Read, SessionCacheDirective.Mode),
        Directive.Once("ssl_session_timeout", ConfigContexts.MailAndServer, _sessionTimeout, ReadSessionTimeout),
        Directive.Flag("ssl_session_tickets", ConfigContexts.MailAndServer, _sessionTickets),
        Directive.Custom("ssl_session_ticket_key", ConfigContexts.MailAndServer, 1, 1, call => Append(call, _ticketKeys)),
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
        bool always = server.Get(_ssl);
        bool needed = listen is not null || always || startTls != StartTls.Off;
        IReadOnlyList<string> certificates = server.Get(_certificates);
        IReadOnlyList<string> keys = server.Get(_keys);
        string? fault = needed ? FindMissing(certificates, keys, listen is not null ? "listen ... ssl" : always ? "ssl" : "starttls") : null;
        if (fault is not null)
        {
            call.ErrorAt(listen?.Position ?? server.Get(always ? _sslLine : _startTlsLine), fault);
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
            CertificateCompression = server.Get(_certificateCompression),
            Curves = server.Get(_curves)!,
            DhParam = ResolveFile(server.Get(_dhParam), call),
            ConfCommands = server.Get(_confCommands),
            ResolvePath = call.Environment.UnderConfigDirectory,
            Passphrases = server.Get(_passphrases),
            VerifyClient = server.Get(_verifyClient),
            VerifyDepth = server.Get(_verifyDepth),
            ClientAuthorities = ResolveFile(server.Get(_clientAuthorities), call),
            TrustedAuthorities = ResolveFile(server.Get(_trustedAuthorities), call),
            RevocationLists = ResolveFile(server.Get(_revocationLists), call),
            SessionCache = server.Get(SessionCacheDirective.Mode),
            BuiltinSessions = server.Get(SessionCacheDirective.BuiltinSessions),
            SharedCache = server.Get(SessionCacheDirective.Shared),
            SessionTimeoutSeconds = server.Get(_sessionTimeout),
            SessionTickets = server.Get(_sessionTickets),
            TicketKeys = [.. server.Get(_ticketKeys).Select(call.Environment.UnderConfigDirectory)],
            Always = always,
            Needed = needed,
        };
        if (needed && call.Environment.DefersTls)
        {
            TlsFiles.Read(settings, (severity, text) => Remark(call, severity, text));
            return settings;
        }

        return needed ? Load(settings, call, alpnName) : settings;
    }

    /// <summary>Once no key will be loaded any more: wipes the passphrases of these scopes and those around them.</summary>
    public static void ForgetPassphrases(IEnumerable<ConfigScope> servers)
    {
        ArgumentNullException.ThrowIfNull(servers);
        foreach (ConfigScope server in servers)
        {
            for (ConfigScope? scope = server; scope is not null; scope = scope.Parent)
            {
                scope.GetOwn(_passphrases)?.Clear();
            }
        }
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
            TlsContext context = TlsContextFactory.CreateServer(settings, alpnName, (severity, text) => Remark(call, severity, text));
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
            call.ErrorAt(e.IsAtEndOfBlock ? call.ReadingPosition : ConfigPosition.None, e.Message);
            return null;
        }
    }

    private static void Remark(DirectiveCall call, ConfigSeverity severity, string text)
    {
        if (!call.Scope.GetOwn(_remarks).Contains(text))
        {
            call.Scope.Append(_remarks, text);
            call.ReportAt(ConfigPosition.None, severity, text);
        }
    }

    private static void ReadStartTls(DirectiveCall call)
    {
        _startTlsKeyword.Apply(call);
        call.Scope.Set(_startTlsLine, call.Position);
        if (call.Scope.GetOwn(_ssl) && call.Scope.GetOwn(_startTls) != StartTls.Off)
        {
            call.Error("\"ssl\" directive conflicts with \"starttls\"");
        }
    }

    /// <summary>Gone from nginx, but still in every older configuration.</summary>
    private static void ReadSsl(DirectiveCall call)
    {
        bool again = call.Scope.Sets(_ssl);
        _sslFlag.Apply(call);
        if (again || !call.Scope.Sets(_ssl))
        {
            return;
        }

        call.Warn("the \"ssl\" directive is deprecated, use the \"listen ... ssl\" directive instead");
        call.Scope.Set(_sslLine, call.Position);
        if (call.Scope.GetOwn(_ssl) && call.Scope.GetOwn(_startTls) != StartTls.Off)
        {
            call.Error("\"starttls\" directive conflicts with \"ssl on\"");
        }
    }

    /// <summary>Read at once, as in nginx: even where no key is encrypted, an unreadable file is an error of this line.</summary>
    private static void ReadPassphrases(DirectiveCall call)
    {
        if (KeyPassphrases.TryRead(call.Environment.UnderConfigDirectory(call.Arguments[0]), out string fault) is { } passphrases)
        {
            call.Scope.Set(_passphrases, passphrases);
        }
        else
        {
            call.Error(fault);
        }
    }

    private static void ReadSessionTimeout(DirectiveCall call)
    {
        if (ValueParsers.Seconds(call.Arguments[0]) is long seconds)
        {
            call.Scope.Set(_sessionTimeout, seconds);
        }
        else
        {
            call.InvalidValue();
        }
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

    private static string? ResolveFile(string? path, DirectiveCall call) => path is null ? null : call.Environment.UnderConfigDirectory(path);

    /// <summary>An absolute path; values with a scheme of their own stay as they are.</summary>
    private static string Resolve(string value, DirectiveCall call) =>
        value.StartsWith(DataScheme, StringComparison.Ordinal)
        || value.StartsWith("engine:", StringComparison.Ordinal)
        || value.StartsWith("store:", StringComparison.Ordinal)
            ? value
            : call.Environment.UnderConfigDirectory(value);
}
