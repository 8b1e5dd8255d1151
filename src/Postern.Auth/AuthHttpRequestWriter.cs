using System.Buffers;
using System.Buffers.Text;
using System.Text;
using Postern.Net;
using Postern.Protocol;

namespace Postern.Auth;

/// <summary>Writes the request of the <c>auth_http</c> protocol (mail-proxy 4.1): header lines in nginx's order.</summary>
internal static class AuthHttpRequestWriter
{
    /// <summary>
    /// HTTP/1.0 with keep-alive asked for: a server that does not know the word closes as ever, none answers in chunks.
    /// </summary>
    public static void Write(AuthHttpSettings settings, AuthRequest request, Credentials credentials, IBufferWriter<byte> target)
    {
        target.Write("GET "u8);
        Text(target, settings.Uri);
        target.Write(" HTTP/1.0\r\n"u8);
        Header(target, "Host"u8, settings.Host);
        target.Write("Auth-Method: "u8);
        target.Write(MethodWord(credentials.Method));
        target.Write("\r\nAuth-User: "u8);
        Escaping.WriteAuthHttp(credentials.Login, target);
        target.Write("\r\nAuth-Pass: "u8);
        Escaping.WriteAuthHttp(credentials.Secret, target);
        target.Write("\r\n"u8);
        if (credentials.Method is AuthMethod.Apop or AuthMethod.CramMd5)
        {
            target.Write("Auth-Salt: "u8);
            target.Write(credentials.Salt);
            target.Write("\r\n"u8);
        }

        Header(target, "Auth-Protocol"u8, request.Protocol);
        Header(target, "Auth-Login-Attempt"u8, request.LoginAttempt);
        Header(target, "Client-IP"u8, request.ClientAddress);
        if (request.ClientHost is { } host)
        {
            Header(target, "Client-Host"u8, host);
        }

        WriteProxyAddresses(target, request.Proxy);
        WriteMail(target, request.Mail);
        WriteTls(target, settings, request);
        foreach ((string name, string value) in settings.Headers)
        {
            Text(target, name);
            target.Write(": "u8);
            Text(target, value);
            target.Write("\r\n"u8);
        }

        target.Write("Connection: keep-alive\r\n\r\n"u8);
    }

    private static void WriteProxyAddresses(IBufferWriter<byte> target, ProxyAddresses? proxy)
    {
        if (proxy is null)
        {
            return;
        }

        Header(target, "Proxy-Protocol-Addr"u8, proxy.Source);
        Header(target, "Proxy-Protocol-Port"u8, proxy.SourcePort);
        Header(target, "Proxy-Protocol-Server-Addr"u8, proxy.Destination);
        Header(target, "Proxy-Protocol-Server-Port"u8, proxy.DestinationPort);
    }

    /// <summary>Not escaped, as nginx sends them: parsed lines have no CR or LF.</summary>
    private static void WriteMail(IBufferWriter<byte> target, MailTransaction? mail)
    {
        if (mail is null)
        {
            return;
        }

        Header(target, "Auth-SMTP-Helo"u8, mail.Helo);
        Header(target, "Auth-SMTP-From"u8, mail.From);
        Header(target, "Auth-SMTP-To"u8, mail.To);
    }

    private static void WriteTls(IBufferWriter<byte> target, AuthHttpSettings settings, AuthRequest request)
    {
        if (!request.Client.IsTls)
        {
            return;
        }

        target.Write("Auth-SSL: on\r\n"u8);
        Header(target, "Auth-SSL-Protocol"u8, request.Client.TlsVersion);
        Header(target, "Auth-SSL-Cipher"u8, request.Client.TlsCipher);
        if (request.Client.AsksForCertificate)
        {
            WriteCertificate(target, settings, request.Client);
        }
    }

    /// <summary>TLS reference, section 6. Header lines whose value is empty are left out.</summary>
    private static void WriteCertificate(IBufferWriter<byte> target, AuthHttpSettings settings, Connection client)
    {
        if (client.PeerCertificate is not { } certificate)
        {
            Header(target, "Auth-SSL-Verify"u8, "NONE");
            return;
        }

        Header(target, "Auth-SSL-Verify"u8, client.VerifyResult == 0 ? "SUCCESS" : "FAILED:" + client.VerifyResultText);
        HeaderIfAny(target, "Auth-SSL-Subject"u8, certificate.Subject);
        HeaderIfAny(target, "Auth-SSL-Issuer"u8, certificate.Issuer);
        HeaderIfAny(target, "Auth-SSL-Serial"u8, certificate.Serial);
        HeaderIfAny(target, "Auth-SSL-Fingerprint"u8, certificate.Fingerprint);
        if (settings.PassClientCertificate)
        {
            target.Write("Auth-SSL-Cert: "u8);
            Escaping.WriteAuthHttp(client.GetPeerCertificatePem(), target);
            target.Write("\r\n"u8);
        }
    }

    private static void HeaderIfAny(IBufferWriter<byte> target, ReadOnlySpan<byte> name, string value)
    {
        if (value.Length > 0)
        {
            Header(target, name, value);
        }
    }

    private static ReadOnlySpan<byte> MethodWord(AuthMethod method) => method switch
    {
        AuthMethod.Plain => "plain"u8,
        AuthMethod.Apop => "apop"u8,
        AuthMethod.CramMd5 => "cram-md5"u8,
        AuthMethod.External => "external"u8,
        _ => "none"u8,
    };

    private static void Header(IBufferWriter<byte> target, ReadOnlySpan<byte> name, byte[] value)
    {
        target.Write(name);
        target.Write(": "u8);
        target.Write(value);
        target.Write("\r\n"u8);
    }

    private static void Header(IBufferWriter<byte> target, ReadOnlySpan<byte> name, string value)
    {
        target.Write(name);
        target.Write(": "u8);
        Text(target, value);
        target.Write("\r\n"u8);
    }

    private static void Header(IBufferWriter<byte> target, ReadOnlySpan<byte> name, int value)
    {
        target.Write(name);
        target.Write(": "u8);
        Utf8Formatter.TryFormat(value, target.GetSpan(11), out int length);
        target.Advance(length);
        target.Write("\r\n"u8);
    }

    private static void Text(IBufferWriter<byte> target, string text) => Encoding.UTF8.GetBytes(text, target);
}
