using System.Text;
using Postern.Protocol.Http;

namespace Postern.Protocol.Imap;

/// <summary>
/// Parses one client command before authentication: <c>tag SP verb *(SP argument)</c> (RFC 9051 sections 2.2 and 9), byte by byte,
/// so that however the bytes are split each is looked at once.
/// </summary>
/// <remarks>
/// A line ends with CRLF or a bare LF. A broken command is reported only when its line end has arrived, so that there is exactly one
/// reply to it. The capacity bounds the command line together with all its literals.
/// </remarks>
public sealed class ImapCommandParser
{
    /// <summary>Longest tag accepted.</summary>
    public const int MaxTagBytes = 32;

    /// <summary>Most arguments accepted; a fourth makes the command invalid.</summary>
    public const int MaxArguments = 3;

    private readonly int _capacity;
    private readonly ImapArgument[] _arguments = new ImapArgument[MaxArguments];
    private State _state;
    private int _position;
    private int _lineStart;
    private int _tagLength;
    private int _verbStart;
    private int _verbLength;
    private ImapCommand _command;
    private ImapInvalidReason _reason;
    private int _argumentStart;
    private bool _hasEscapes;
    private int _literalBytes;
    private bool _literalNonSync;

    /// <param name="capacity">
    /// Bytes a command may have, line ends and literals included (<c>imap_client_buffer</c>); exactly this many are fine.
    /// </param>
    public ImapCommandParser(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        _capacity = capacity;
    }

    private enum State
    {
        Tag,
        SpacesBeforeVerb,
        Verb,
        SpacesBeforeArgument,
        Atom,
        Quoted,
        QuotedEscape,
        LiteralSize,
        LiteralPlus,
        LiteralClosed,
        LiteralLineEnd,
        AfterLiteral,
        LineEnd,
        Invalid,
    }

    private enum Signal
    {
        None,
        Continue,
        Complete,
        Invalid,
    }

    /// <summary>Arguments of the complete command.</summary>
    public int ArgumentCount { get; private set; }

    /// <summary>
    /// The verb as the client wrote it, for the log ("log the verb only": the rest may hold a password); empty if it is no command's,
    /// for then it may be part of a password, too.
    /// </summary>
    public ByteRange Verb => new(_verbStart, _verbLength);

    /// <summary>Bytes looked at since the parser was made, look-backs included: tests prove that the work is linear.</summary>
    internal long ExaminedBytes { get; private set; }

    /// <summary>Forgets the current command; the next buffer starts at the first byte of a new one.</summary>
    public void Reset()
    {
        _state = State.Tag;
        _position = 0;
        _lineStart = 0;
        _tagLength = 0;
        _verbStart = 0;
        _verbLength = 0;
        _command = ImapCommand.Unknown;
        _reason = ImapInvalidReason.None;
        ArgumentCount = 0;
    }

    /// <summary>Goes on where the last call stopped.</summary>
    /// <param name="buffer">Everything received from the first byte of the command; earlier bytes unchanged, new ones behind them.</param>
    /// <remarks>After any result but NeedMore and Continue call <see cref="Reset"/> before parsing the next command.</remarks>
    public ImapParse Parse(ReadOnlySpan<byte> buffer)
    {
        int limit = Math.Min(buffer.Length, _capacity);
        while (_position < limit)
        {
            byte ch = buffer[_position++];
            ExaminedBytes++;
            switch (Step(ch, buffer))
            {
                case Signal.Continue:
                    return Result(ImapParseStatus.Continue, 0);
                case Signal.Complete:
                    return Finish(buffer, valid: true);
                case Signal.Invalid:
                    return Finish(buffer, valid: false);
                default:
                    break;
            }
        }

        return Result(_position >= _capacity ? ImapParseStatus.TooLong : ImapParseStatus.NeedMore, 0);
    }

    /// <summary>An argument of the complete command.</summary>
    /// <param name="index">0 to <see cref="ArgumentCount"/> - 1.</param>
    public ImapArgument Argument(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)ArgumentCount, nameof(index));
        return _arguments[index];
    }

    /// <summary>Copies the value of an argument, escapes of a quoted string resolved.</summary>
    /// <param name="index">0 to <see cref="ArgumentCount"/> - 1.</param>
    /// <param name="buffer">The buffer of the last <see cref="Parse"/>.</param>
    /// <param name="destination">At least the length of the argument's range; may start at the same byte as the argument.</param>
    /// <returns>Bytes written.</returns>
    public int CopyArgument(int index, ReadOnlySpan<byte> buffer, Span<byte> destination)
    {
        ImapArgument argument = Argument(index);
        ReadOnlySpan<byte> raw = argument.Range.In(buffer);
        if (!argument.HasEscapes)
        {
            raw.CopyTo(destination);
            return raw.Length;
        }

        int written = 0;
        for (int i = 0; i < raw.Length; i++)
        {
            if (raw[i] == (byte)'\\')
            {
                i++;
            }

            destination[written++] = raw[i];
        }

        return written;
    }

    private Signal Step(byte ch, ReadOnlySpan<byte> buffer) => _state switch
    {
        State.Tag => InTag(ch),
        State.SpacesBeforeVerb => InSpacesBeforeVerb(ch),
        State.Verb => InVerb(ch, buffer),
        State.SpacesBeforeArgument => InSpacesBeforeArgument(ch),
        State.Atom => InAtom(ch),
        State.Quoted => InQuoted(ch),
        State.QuotedEscape => InQuotedEscape(ch),
        State.LiteralSize => InLiteralSize(ch),
        State.LiteralPlus => ch == (byte)'}' ? Enter(State.LiteralClosed) : Fail(ch),
        State.LiteralClosed => ch == (byte)'\r' ? Enter(State.LiteralLineEnd) : InLiteralLineEnd(ch),
        State.LiteralLineEnd => InLiteralLineEnd(ch),
        State.AfterLiteral => ch is (byte)' ' or (byte)'\r' or (byte)'\n' ? Separator(ch) : Fail(ch),
        State.LineEnd => ch == (byte)'\n' ? Signal.Complete : Fail(ch),
        _ => Fail(ch),
    };

    private Signal InTag(byte ch)
    {
        int length = _position - 1;
        if (ch == (byte)' ' && length > 0)
        {
            _tagLength = length;
            return Enter(State.SpacesBeforeVerb);
        }

        bool isTagChar = char.IsAsciiLetterOrDigit((char)ch) || ch is (byte)'-' or (byte)'.' or (byte)'_';
        return isTagChar && length < MaxTagBytes ? Signal.None : Fail(ch);
    }

    private Signal InSpacesBeforeVerb(byte ch)
    {
        if (ch == (byte)' ')
        {
            return Signal.None;
        }

        _verbStart = _position - 1;
        return char.IsAsciiLetter((char)ch) ? Enter(State.Verb) : Fail(ch);
    }

    private Signal InVerb(byte ch, ReadOnlySpan<byte> buffer)
    {
        if (char.IsAsciiLetter((char)ch))
        {
            return Signal.None;
        }

        int length = _position - 1 - _verbStart;
        _command = Recognise(buffer.Slice(_verbStart, length));
        if (_command == ImapCommand.Unknown)
        {
            return Fail(ch);
        }

        _verbLength = length;
        return ch is (byte)' ' or (byte)'\r' or (byte)'\n' ? Separator(ch) : Fail(ch);
    }

    private Signal InSpacesBeforeArgument(byte ch)
    {
        if (ch is (byte)' ' or (byte)'\r' or (byte)'\n')
        {
            return Separator(ch);
        }

        if (ArgumentCount == MaxArguments)
        {
            return Fail(ch);
        }

        _hasEscapes = false;
        switch (ch)
        {
            case (byte)'"':
                _argumentStart = _position;
                return Enter(State.Quoted);
            case (byte)'{':
                _literalBytes = 0;
                _literalNonSync = false;
                return Enter(State.LiteralSize);
            default:
                _argumentStart = _position - 1;
                return Enter(State.Atom);
        }
    }

    private Signal InAtom(byte ch)
    {
        if (ch is not ((byte)' ' or (byte)'\r' or (byte)'\n'))
        {
            return Signal.None;
        }

        AddArgument(ImapArgumentKind.Atom, _position - 1 - _argumentStart);
        return Separator(ch);
    }

    private Signal InQuoted(byte ch)
    {
        switch (ch)
        {
            case (byte)'"':
                AddArgument(ImapArgumentKind.Quoted, _position - 1 - _argumentStart);
                return Enter(State.SpacesBeforeArgument);
            case (byte)'\\':
                _hasEscapes = true;
                return Enter(State.QuotedEscape);
            case (byte)'\r' or (byte)'\n':
                return Fail(ch);
            default:
                return Signal.None;
        }
    }

    private Signal InQuotedEscape(byte ch) => ch is (byte)'\r' or (byte)'\n' ? Fail(ch) : Enter(State.Quoted);

    private Signal InLiteralSize(byte ch)
    {
        switch (ch)
        {
            case (byte)'}':
                return Enter(State.LiteralClosed);
            case (byte)'+':
                _literalNonSync = true;
                return Enter(State.LiteralPlus);
            case >= (byte)'0' and <= (byte)'9':
                long size = (_literalBytes * 10L) + (ch - (byte)'0');
                _literalBytes = (int)Math.Min(size, int.MaxValue);
                return size <= int.MaxValue ? Signal.None : Fail(ch);
            default:
                return Fail(ch);
        }
    }

    private Signal InLiteralLineEnd(byte ch)
    {
        if (ch != (byte)'\n')
        {
            return Fail(ch);
        }

        // Behind the literal at least the line feed of the command must fit. Refused here, before the continuation, a synchronising
        // literal is never sent; nginx asks for it and closes when the buffer is full.
        if (_literalBytes > _capacity - _position - 1)
        {
            _reason = ImapInvalidReason.LiteralTooLarge;
            return Signal.Invalid;
        }

        _argumentStart = _position;
        AddArgument(ImapArgumentKind.Literal, _literalBytes);
        // Its bytes are not looked at: go on behind them once they are there.
        _position += _literalBytes;
        _lineStart = _position;
        _state = State.AfterLiteral;
        return _literalNonSync ? Signal.None : Signal.Continue;
    }

    private Signal Separator(byte ch)
    {
        switch (ch)
        {
            case (byte)'\n':
                return Signal.Complete;
            case (byte)'\r':
                return Enter(State.LineEnd);
            default:
                return Enter(State.SpacesBeforeArgument);
        }
    }

    private Signal Enter(State state)
    {
        _state = state;
        return Signal.None;
    }

    /// <summary>From here on only the line end counts.</summary>
    private Signal Fail(byte ch)
    {
        _state = State.Invalid;
        _reason = ImapInvalidReason.Syntax;
        return ch == (byte)'\n' ? Signal.Invalid : Signal.None;
    }

    private void AddArgument(ImapArgumentKind kind, int length) =>
        _arguments[ArgumentCount++] = new ImapArgument(new ByteRange(_argumentStart, length), kind, _hasEscapes);

    private ImapParse Finish(ReadOnlySpan<byte> buffer, bool valid)
    {
        ReadOnlySpan<byte> line = buffer[_lineStart.._position];
        ExaminedBytes += line.Length;
        if (_lineStart == 0 && HttpRequestLine.IsMatch(line))
        {
            // Nothing of the request is reflected, not even what looks like a tag.
            return new ImapParse(ImapParseStatus.InvalidClose, _position, ImapCommand.Unknown, default, ImapInvalidReason.HttpRequest);
        }

        if (valid)
        {
            return Result(ImapParseStatus.Complete, _position);
        }

        _command = ImapCommand.Unknown;
        return Result(AnnouncesNonSyncLiteral(line) ? ImapParseStatus.InvalidClose : ImapParseStatus.Invalid, _position);
    }

    private ImapParse Result(ImapParseStatus status, int consumed) =>
        new(status, consumed, status == ImapParseStatus.Complete ? _command : ImapCommand.Unknown, new ByteRange(0, _tagLength), _reason);

    /// <summary>Whether the line ends in <c>{n+}</c>: the client sends the literal without waiting, and it cannot be skipped.</summary>
    private static bool AnnouncesNonSyncLiteral(ReadOnlySpan<byte> line)
    {
        line = line.TrimEnd("\r\n"u8);
        if (!line.EndsWith("+}"u8))
        {
            return false;
        }

        line = line[..^2].TrimEnd("0123456789"u8);
        return line.EndsWith("{"u8);
    }

    private static ImapCommand Recognise(ReadOnlySpan<byte> verb) => verb.Length switch
    {
        4 when Ascii.EqualsIgnoreCase(verb, "NOOP"u8) => ImapCommand.Noop,
        5 when Ascii.EqualsIgnoreCase(verb, "LOGIN"u8) => ImapCommand.Login,
        6 when Ascii.EqualsIgnoreCase(verb, "LOGOUT"u8) => ImapCommand.Logout,
        8 when Ascii.EqualsIgnoreCase(verb, "STARTTLS"u8) => ImapCommand.StartTls,
        10 when Ascii.EqualsIgnoreCase(verb, "CAPABILITY"u8) => ImapCommand.Capability,
        12 when Ascii.EqualsIgnoreCase(verb, "AUTHENTICATE"u8) => ImapCommand.Authenticate,
        _ => ImapCommand.Unknown,
    };
}
