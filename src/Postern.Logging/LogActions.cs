namespace Postern.Logging;

/// <summary>What a session can be doing, in the words that end its log lines (<c>… while ACTION</c>).</summary>
public static class LogActions
{
    public const string SendingGreeting = "sending client greeting line";
    public const string ReadingProxyProtocol = "reading PROXY protocol";
    public const string TlsHandshaking = "SSL handshaking";
    public const string ResolvingClientAddress = "in resolving client address";
    public const string ResolvingClientHostname = "in resolving client hostname";
    public const string DelayPipelining = "in delay pipelining state";
    public const string Auth = "in auth state";
    public const string StartTls = "in starttls state";
    public const string HttpAuth = "in http auth state";
    public const string ConnectingToUpstream = "connecting to upstream";
    public const string SendingProxyProtocol = "sending PROXY protocol header to upstream";
    public const string ReadingUpstreamResponse = "reading response from upstream";
    public const string SendingUserName = "sending user name to upstream";
    public const string SendingPassword = "sending password to upstream";
    public const string SendingLogin = "sending LOGIN command to upstream";
    public const string SendingHelo = "sending HELO/EHLO to upstream";
    public const string SendingXClient = "sending XCLIENT to upstream";
    public const string SendingClientHelo = "sending client HELO/EHLO to upstream";
    public const string SendingAuth = "sending AUTH to upstream";
    public const string SendingMailFrom = "sending MAIL FROM to upstream";
    public const string SendingRcptTo = "sending RCPT TO to upstream";
    public const string Proxying = "proxying";
}
