namespace Postern.Net.Resolving;

/// <summary>What DNS says of a client's address.</summary>
/// <param name="Text">A confirmed host name in lower case without final dot, or one of the two constants.</param>
/// <param name="Failure">What to log; null = nothing.</param>
public sealed record ClientName(string Text, ResolveFailure? Failure = null)
{
    /// <summary>There is no name, or not one that leads back to the address.</summary>
    public const string Unavailable = "[UNAVAILABLE]";

    /// <summary>It could not be found out, now.</summary>
    public const string TemporarilyUnavailable = "[TEMPUNAVAIL]";
}

/// <summary>Why there is no name.</summary>
/// <param name="Code">DNS response code (RFC 1035 section 4.1.1), 110 for a timeout; 0 = <paramref name="HostName"/> is no host name.</param>
/// <param name="HostName">The name that was looked up, or is refused; empty when it was the address. Foreign: may hold anything.</param>
public sealed record ResolveFailure(int Code, string HostName)
{
    /// <summary>No name, or none with such an address (NXDOMAIN).</summary>
    public const int HostNotFound = 3;

    public const int ServerFailure = 2;

    public const int TimedOut = 110;

    /// <summary><c>N: TEXT</c> as nginx words it.</summary>
    public string CodeText => Code switch
    {
        1 => "1: Format error",
        ServerFailure => "2: Server failure",
        HostNotFound => "3: Host not found",
        4 => "4: Unimplemented",
        5 => "5: Operation refused",
        TimedOut => "110: Operation timed out",
        _ => Code.ToString(System.Globalization.CultureInfo.InvariantCulture) + ": Unknown error",
    };
}
