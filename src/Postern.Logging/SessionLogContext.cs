namespace Postern.Logging;

/// <summary>The facts of one session that its log lines carry; set at phase changes, used by one event loop only.</summary>
public sealed class SessionLogContext
{
    /// <summary>Where the session's lines go: its server's log, at every level if <c>debug_connection</c> names the client.</summary>
    public required ErrorLog Log { get; set; }

    /// <summary>Serial number of the connection in this process.</summary>
    public required long ConnectionNumber { get; init; }

    /// <summary>What the session is doing, one of <see cref="LogActions"/>; null = nothing to mention.</summary>
    public string? Action { get; set; }

    /// <summary>Client address without port (<c>127.0.0.1</c>, <c>::1</c>, <c>unix:</c>), realip applied.</summary>
    public required string Client { get; set; }

    /// <summary>A STARTTLS handshake has begun (not for TLS listeners).</summary>
    public bool UsingStartTls { get; set; }

    /// <summary>The listening address, <c>127.0.0.1:143</c>.</summary>
    public required string Server { get; init; }

    /// <summary>The login as the client or the auth server gave it; null or empty = not known. Escaped when written.</summary>
    public byte[]? Login { get; set; }

    /// <summary><c>Auth-Server:Auth-Port</c> as received; null = none chosen. Escaped when written.</summary>
    public string? Upstream { get; set; }

    /// <summary><c>*N </c>, with which each message of a connection begins.</summary>
    public void AppendNumber(ref LogLine line)
    {
        line.Append("*"u8);
        line.Append(ConnectionNumber);
        line.Append(" "u8);
    }

    /// <summary><c> while ACTION, client: A[ using starttls], server: L[, login: "U"][, upstream: H:P]</c>.</summary>
    /// <param name="line">The message, complete but for this.</param>
    /// <param name="withAction">False for <c>client logged in</c> and <c>proxied session done</c>, which have no action.</param>
    public void AppendTail(ref LogLine line, bool withAction = true)
    {
        if (withAction && Action is not null)
        {
            line.Append(" while "u8);
            line.Append(Action);
        }

        line.Append(", client: "u8);
        line.AppendEscaped(Client);
        if (UsingStartTls)
        {
            line.Append(" using starttls"u8);
        }

        line.Append(", server: "u8);
        line.AppendEscaped(Server);
        if (Login is { Length: > 0 })
        {
            line.Append(", login: \""u8);
            line.AppendEscaped(Login);
            line.Append("\""u8);
        }

        if (Upstream is not null)
        {
            line.Append(", upstream: "u8);
            line.AppendEscaped(Upstream);
        }
    }
}
