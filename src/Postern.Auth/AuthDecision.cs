using Postern.Net;

namespace Postern.Auth;

/// <summary>What became of one sign-in attempt.</summary>
public abstract record AuthDecision
{
    /// <summary>Signed in; the credentials hold login and password for the backend.</summary>
    /// <param name="Upstream">Where to.</param>
    /// <param name="UpstreamText"><c>Auth-Server:Auth-Port</c> as received, for the log.</param>
    public sealed record Accepted(EndpointAddress Upstream, string UpstreamText) : AuthDecision;

    /// <summary>Refused by the auth server.</summary>
    /// <param name="Message">Its text, one line.</param>
    /// <param name="WaitSeconds">How long to wait before answering; the session goes on then. 0 = answer at once and close.</param>
    /// <param name="ErrorCode"><c>Auth-Error-Code</c> (SMTP); empty if none.</param>
    public sealed record Refused(byte[] Message, int WaitSeconds, byte[] ErrorCode) : AuthDecision;

    /// <summary>No decision could be had; already logged. A temporary error for the client.</summary>
    public sealed record Failed : AuthDecision
    {
        public static Failed Instance { get; } = new();
    }
}
