namespace Postern.Protocol.Imap;

/// <summary>The commands understood before authentication (RFC 9051 sections 6.1 and 6.2).</summary>
public enum ImapCommand
{
    /// <summary>No known verb; never the command of a <see cref="ImapParseStatus.Complete"/> result.</summary>
    Unknown,
    Noop,
    Capability,
    Logout,
    StartTls,
    Login,
    Authenticate,
}

/// <summary>The form in which an argument was written (RFC 9051 section 4).</summary>
public enum ImapArgumentKind
{
    /// <summary>Everything up to a space or the line end; quotes and braces inside are plain text.</summary>
    Atom,

    /// <summary>Between double quotes, which the range does not include; <c>\x</c> stands for x.</summary>
    Quoted,

    /// <summary>Announced by <c>{n}</c> or <c>{n+}</c> (RFC 7888); the range is its n bytes.</summary>
    Literal,
}

/// <summary>One argument of a command, as found in the buffer.</summary>
/// <param name="Range">The raw bytes: without quotes, escapes not yet resolved.</param>
/// <param name="Kind">The form it was written in.</param>
/// <param name="HasEscapes">A quoted string holds at least one backslash escape.</param>
public readonly record struct ImapArgument(ByteRange Range, ImapArgumentKind Kind, bool HasEscapes);
