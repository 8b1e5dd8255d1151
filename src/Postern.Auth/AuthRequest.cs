using Postern.Net;

namespace Postern.Auth;

/// <summary>Everything that is told to the auth server besides the credentials. One per session, kept for retries.</summary>
public sealed record AuthRequest
{
    /// <summary><c>imap</c>, <c>pop3</c> or <c>smtp</c>.</summary>
    public required string Protocol { get; init; }

    /// <summary>1 for the first attempt of the session.</summary>
    public required int LoginAttempt { get; init; }

    /// <summary>Client address without port, realip applied.</summary>
    public required string ClientAddress { get; init; }

    /// <summary><c>Client-Host</c>, SMTP only; null = not sent.</summary>
    public string? ClientHost { get; init; }

    /// <summary>What an SMTP client without AUTH wants to send; null = it signs in.</summary>
    public MailTransaction? Mail { get; init; }

    /// <summary>The backend login needs a password (IMAP, POP3): where the client gave none the auth server must.</summary>
    public required bool NeedsPassword { get; init; }

    /// <summary>Addresses of the PROXY header the client's connection began with; null = none.</summary>
    public ProxyAddresses? Proxy { get; init; }

    /// <summary>The client's connection: its TLS facts are told when it is under TLS.</summary>
    public required Connection Client { get; init; }
}

/// <summary>Addresses of a PROXY header, as text, and their ports.</summary>
public sealed record ProxyAddresses(string Source, int SourcePort, string Destination, int DestinationPort);

/// <summary>The commands of a mail transaction so far, as the client wrote them, without line ends.</summary>
/// <param name="Helo">The word of HELO or EHLO; empty if there was none.</param>
/// <param name="From">The MAIL command.</param>
/// <param name="To">The RCPT command.</param>
public sealed record MailTransaction(byte[] Helo, byte[] From, byte[] To);
