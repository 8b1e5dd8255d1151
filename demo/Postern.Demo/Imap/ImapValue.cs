namespace Postern.Demo.Imap;

/// <summary>One argument of a command: an atom or string as text (one character is one byte), or a parenthesized list.</summary>
internal sealed record ImapValue(string Text, IReadOnlyList<ImapValue>? Items)
{
    public bool IsList => Items is not null;

    /// <summary>The items of a list, or the value itself.</summary>
    public IReadOnlyList<ImapValue> Each => Items ?? [this];
}

/// <summary>A command as received: tag, upper-case name, arguments.</summary>
internal sealed record ImapCommand(string Tag, string Name, IReadOnlyList<ImapValue> Arguments);
