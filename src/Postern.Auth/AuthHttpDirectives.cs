using Postern.Config;
using Postern.Net;

namespace Postern.Auth;

/// <summary>The directives <c>auth_http*</c> of <c>mail</c> and <c>server</c> (mail-proxy reference 2.1, 2.5).</summary>
public static class AuthHttpDirectives
{
    private const int DefaultPort = 80;
    private const string HttpScheme = "http://";

    private static readonly Slot<AuthHttpSettings?> _server = new(null);
    private static readonly Slot<TimeSpan> _timeout = new(TimeSpan.FromSeconds(60));
    private static readonly Slot<IReadOnlyList<KeyValuePair<string, string>>> _headers = new([]);
    private static readonly Slot<bool> _passClientCertificate = new(false);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Custom("auth_http", ConfigContexts.MailAndServer, 1, 1, ReadUrl),
        Directive.Milliseconds("auth_http_timeout", ConfigContexts.MailAndServer, _timeout),
        Directive.Custom("auth_http_header", ConfigContexts.MailAndServer, 2, 2, call =>
            call.Scope.Append(_headers, new KeyValuePair<string, string>(call.Arguments[0], call.Arguments[1]))),
        Directive.Flag("auth_http_pass_client_cert", ConfigContexts.MailAndServer, _passClientCertificate),
    ];

    /// <summary>Merges one server's directives, once the mail block is complete.</summary>
    /// <returns>Null if there is no <c>auth_http</c>, which has been reported.</returns>
    public static AuthHttpSettings? Merge(ConfigScope server, DirectiveCall call)
    {
        ArgumentNullException.ThrowIfNull(server);
        ArgumentNullException.ThrowIfNull(call);
        AuthHttpSettings? settings = server.Get(_server);
        if (settings is null)
        {
            call.ErrorAt(server.Opened, "no \"auth_http\" is defined for server");
            return null;
        }

        return settings with
        {
            Timeout = server.Get(_timeout),
            Headers = server.Get(_headers),
            PassClientCertificate = server.Get(_passClientCertificate),
        };
    }

    /// <summary>The scheme <c>http://</c> is optional and the only one; the last <c>auth_http</c> of a level counts.</summary>
    private static void ReadUrl(DirectiveCall call)
    {
        string url = call.Arguments[0];
        url = url.StartsWith(HttpScheme, StringComparison.Ordinal) ? url[HttpScheme.Length..] : url;
        AddressParser parser = new(call.Environment.ResolveHost);
        if (parser.Parse(url, AddressForm.Url, DefaultPort, out string? error) is not ConfiguredAddress address)
        {
            call.Error($"{error} in auth_http \"{url}\"");
            return;
        }

        EndpointAddress first = address.Addresses[0];
        call.Scope.Set(_server, new AuthHttpSettings
        {
            Address = first,
            Host = first.Family == AddressFamilyKind.Unix ? "localhost" : address.Host,
            Uri = address.Uri.Length == 0 ? "/" : address.Uri,
        });
    }
}
