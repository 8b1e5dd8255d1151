namespace Postern.Protocol.Imap;

/// <summary>What the command parser found in the buffer.</summary>
public enum ImapParseStatus
{
    /// <summary>The command is not complete: receive more and parse the grown buffer.</summary>
    NeedMore,

    /// <summary>
    /// A synchronising literal was announced: send <c>+ OK</c>, then parse again (its bytes may be buffered already). Reported once
    /// per literal.
    /// </summary>
    Continue,

    /// <summary>A command with a known verb and up to three arguments.</summary>
    Complete,

    /// <summary>Not a command; answer BAD (counted as an error) and go on behind <see cref="ImapParse.Consumed"/>.</summary>
    Invalid,

    /// <summary>
    /// Not a command, and what follows cannot be told apart from commands: answer BAD and close. Either a line ending in the
    /// announcement of a non-synchronising literal, or an HTTP request line.
    /// </summary>
    InvalidClose,

    /// <summary>The capacity is used up and the command is not complete: answer BAD and close.</summary>
    TooLong,
}

/// <summary>Why a command is invalid.</summary>
public enum ImapInvalidReason
{
    /// <summary>It is not.</summary>
    None,

    /// <summary>The grammar was broken, or the verb is unknown.</summary>
    Syntax,

    /// <summary>An announced literal cannot fit the capacity; no continuation was asked for.</summary>
    LiteralTooLarge,

    /// <summary>The line is an HTTP request line.</summary>
    HttpRequest,
}

/// <summary>The result of one call of <see cref="ImapCommandParser.Parse"/>.</summary>
/// <param name="Status">What was found.</param>
/// <param name="Consumed">
/// Bytes of the buffer that belong to the command, its line end included, for <see cref="ImapParseStatus.Complete"/>,
/// <see cref="ImapParseStatus.Invalid"/> and <see cref="ImapParseStatus.InvalidClose"/>; otherwise 0.
/// </param>
/// <param name="Command">The verb, <see cref="ImapCommand.Unknown"/> unless complete.</param>
/// <param name="Tag">The tag, 1–32 bytes; empty if none was parsed or it must not be echoed: reply with <c>*</c>.</param>
/// <param name="Reason">Why the command is invalid.</param>
public readonly record struct ImapParse(
    ImapParseStatus Status, int Consumed, ImapCommand Command, ByteRange Tag, ImapInvalidReason Reason)
{
    /// <summary>Whether the reply carries the client's tag; otherwise it is <c>*</c>.</summary>
    public bool TagKnown => Tag.Length > 0;

    /// <summary>The client speaks HTTP; reply and close at once, whatever <c>max_errors</c> says.</summary>
    public bool IsHttpRequest => Reason == ImapInvalidReason.HttpRequest;
}
