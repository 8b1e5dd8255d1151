using Postern.Auth;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tls;
using Postern.Sessions;

namespace Postern.Fuzz.Sessions;

/// <summary>One of the servers an input can be played to: the first two bytes of the input are its settings, bit by bit.</summary>
internal readonly record struct SessionVariant(byte First, byte Second)
{
    public MailProtocol Protocol => (First & 3) switch { 1 => MailProtocol.Pop3, 2 => MailProtocol.Smtp, _ => MailProtocol.Imap };

    public bool Ssl => (First & 0x04) != 0;

    public bool ProxyProtocol => (First & 0x08) != 0;

    public StartTls StartTls => (StartTls)Math.Min((First >> 4) & 3, (int)StartTls.Only);

    public OutgoingProxyProtocol OutgoingProxyProtocol => (OutgoingProxyProtocol)Math.Min(First >> 6, (int)OutgoingProxyProtocol.V2);

    public bool XClient => (Second & 0x01) != 0;

    public bool ProxySmtpAuth => (Second & 0x02) != 0;

    public bool PassesErrorMessages => (Second & 0x04) != 0;

    public bool MailWithoutAuth => (Second & 0x08) != 0;

    public ListenSettings Listen => new()
    {
        Address = EndpointAddress.TryParseIP("0.0.0.0", 143)!,
        Ssl = Ssl,
        ProxyProtocol = ProxyProtocol,
    };

    public MailServerSettings Settings => new()
    {
        Protocol = Protocol,
        Listen = [Listen],
        Tls = new TlsServerSettings { StartTls = StartTls },
        AuthHttp = new AuthHttpSettings { Address = SessionScript.AuthAddress, Host = "auth", Uri = "/" },
        ServerName = "mx.example.test",
        AuthMethods = AuthMethods.Plain | AuthMethods.Login | AuthMethods.CramMd5 | AuthMethods.External
            | (Protocol == MailProtocol.Pop3 ? AuthMethods.Apop : 0)
            | (Protocol == MailProtocol.Smtp && MailWithoutAuth ? AuthMethods.None : 0),
        ClientBufferBytes = Protocol == MailProtocol.Pop3 ? 128 : (Second & 0x10) != 0 ? 64 : 4096,
        SmtpGreetingDelay = (Second & 0x20) != 0 ? TimeSpan.FromSeconds(2) : TimeSpan.Zero,
        ProxyBufferBytes = (Second & 0x40) != 0 ? 256 : 4096,
        ProxyPassErrorMessage = PassesErrorMessages,
        ProxySmtpAuth = ProxySmtpAuth,
        ProxyProtocol = OutgoingProxyProtocol,
        XClient = XClient,
        RealIPFrom = [new AddressRange([192, 0, 2, 55], 32)],
    };
}
