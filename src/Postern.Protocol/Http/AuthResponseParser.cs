using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Postern.Protocol.Http;

/// <summary>What the parser found in an auth server's response.</summary>
public enum AuthResponseResult
{
    /// <summary>The header block is not complete.</summary>
    NeedMore,

    /// <summary>The blank line was reached; <see cref="AuthResponseParser.Consumed"/> bytes belong to the header block.</summary>
    Complete,

    /// <summary>The status line has a CR that no LF follows: <c>auth http server NAME sent invalid response</c>.</summary>
    InvalidStatusLine,

    /// <summary>A malformed header: <c>auth http server NAME sent invalid header in response</c>.</summary>
    InvalidHeader,

    /// <summary>More than <see cref="AuthResponseParser.MaxHeaderBytes"/> without a blank line.</summary>
    TooLong,
}

/// <summary>The sum of all <c>Auth-Status</c> headers of a response.</summary>
public enum AuthStatus
{
    /// <summary>No Auth-Status header.</summary>
    None,

    /// <summary>Exactly <c>OK</c>.</summary>
    Ok,

    /// <summary>Exactly <c>WAIT</c>: ask again.</summary>
    Wait,

    /// <summary>Anything else: refused, with <see cref="AuthResponseParser.Message"/>. No later header undoes it.</summary>
    Refused,
}

/// <summary>
/// Parses the header block of an auth server's response (<c>auth_http</c>), fed a buffer that grows from the response's first byte;
/// each byte is looked at once. The body is not read.
/// </summary>
/// <remarks>
/// Ranges point into that buffer. The status code does not influence the decision. Header names are compared without regard to case, of
/// repeated headers the last one counts, except that a refusal stays a refusal.
/// </remarks>
public sealed class AuthResponseParser
{
    /// <summary>Largest header block, status line and blank line included; bounds what a broken auth server can make us hold.</summary>
    public const int MaxHeaderBytes = 1024;

    /// <summary>What a header's name consists of here: letters, digits and <c>-</c>.</summary>
    private static readonly SearchValues<byte> _nameBytes =
        SearchValues.Create("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private State _state;
    private int _position;
    private int _nameStart;
    private ByteRange _name;
    private int _valueStart;
    private bool _contentLengthInvalid;

    private enum State
    {
        /// <summary>Comparing with <c>HTTP/</c>.</summary>
        Start,
        StatusLine,
        StatusLineEnd,
        LineStart,
        Name,
        SpacesBeforeValue,
        Value,
        HeaderEnd,
        BlankLineEnd,
    }

    /// <summary>Bytes of the complete header block, blank line included.</summary>
    public int Consumed { get; private set; }

    public AuthStatus Status { get; private set; }

    /// <summary>Text of the refusal (may be empty); null unless <see cref="AuthStatus.Refused"/>.</summary>
    public ByteRange? Message { get; private set; }

    /// <summary><c>Auth-Server</c>; null = absent.</summary>
    public ByteRange? Server { get; private set; }

    /// <summary><c>Auth-Port</c>; null = absent.</summary>
    public ByteRange? Port { get; private set; }

    /// <summary><c>Auth-User</c>; null = absent, may be empty.</summary>
    public ByteRange? User { get; private set; }

    /// <summary><c>Auth-Pass</c>; null = absent, may be empty (an empty password is a password).</summary>
    public ByteRange? Pass { get; private set; }

    /// <summary><c>Auth-Error-Code</c> (SMTP); null = absent.</summary>
    public ByteRange? ErrorCode { get; private set; }

    /// <summary><c>Auth-Wait</c> in seconds; null = absent or not a number.</summary>
    public int? WaitSeconds { get; private set; }

    /// <summary>The data began with <c>HTTP/</c>.</summary>
    public bool HasStatusLine { get; private set; }

    /// <summary>n of <c>HTTP/1.n</c>; -1 if there is no such version.</summary>
    public int HttpMinorVersion { get; private set; } = -1;

    /// <summary>100–999; 0 if there is no status code. For reuse of the connection only.</summary>
    public int StatusCode { get; private set; }

    /// <summary>Bytes of the body; null if absent, not a number, or given twice with different values.</summary>
    public long? ContentLength { get; private set; }

    /// <summary>A <c>Transfer-Encoding</c> header is present.</summary>
    public bool HasTransferEncoding { get; private set; }

    /// <summary><c>Connection</c> lists <c>keep-alive</c>.</summary>
    public bool ConnectionKeepAlive { get; private set; }

    /// <summary><c>Connection</c> lists <c>close</c>.</summary>
    public bool ConnectionClose { get; private set; }

    /// <summary>Bytes looked at since the last reset: tests prove that the work is linear.</summary>
    internal long ExaminedBytes { get; private set; }

    /// <summary>Forgets everything; the next buffer starts at the first byte of another response.</summary>
    public void Reset()
    {
        _state = State.Start;
        _position = 0;
        _contentLengthInvalid = false;
        Consumed = 0;
        Status = AuthStatus.None;
        Message = Server = Port = User = Pass = ErrorCode = null;
        WaitSeconds = null;
        HasStatusLine = false;
        HttpMinorVersion = -1;
        StatusCode = 0;
        ContentLength = null;
        HasTransferEncoding = ConnectionKeepAlive = ConnectionClose = false;
        ExaminedBytes = 0;
    }

    /// <summary>Goes on where the last call stopped.</summary>
    /// <param name="buffer">Everything received from the first byte of the response.</param>
    /// <remarks>After any result but NeedMore call <see cref="Reset"/> before parsing another response.</remarks>
    public AuthResponseResult Parse(ReadOnlySpan<byte> buffer)
    {
        int limit = Math.Min(buffer.Length, MaxHeaderBytes);
        while (_position < limit)
        {
            int plain = CountPlain(buffer[_position..limit]);
            _position += plain;
            ExaminedBytes += plain;
            if (_position == limit)
            {
                break;
            }

            byte ch = buffer[_position++];
            ExaminedBytes++;
            AuthResponseResult result = Step(ch, buffer);
            if (result != AuthResponseResult.NeedMore)
            {
                return result;
            }
        }

        return _position >= MaxHeaderBytes ? AuthResponseResult.TooLong : AuthResponseResult.NeedMore;
    }

    /// <summary>Bytes at the beginning that change nothing in the present state; they are skipped at once.</summary>
    private int CountPlain(ReadOnlySpan<byte> rest)
    {
        int count = _state switch
        {
            State.Name => rest.IndexOfAnyExcept(_nameBytes),
            State.Value => rest.IndexOfAny((byte)'\r', (byte)'\n', (byte)0),
            State.StatusLine => rest.IndexOfAny((byte)'\r', (byte)'\n'),
            _ => 0,
        };
        return count < 0 ? rest.Length : count;
    }

    private AuthResponseResult Step(byte ch, ReadOnlySpan<byte> buffer)
    {
        switch (_state)
        {
            case State.Start:
                return InStart(ch);
            case State.StatusLine:
                return InStatusLine(ch, buffer);
            case State.StatusLineEnd:
                return ch == (byte)'\n' ? EndStatusLine(buffer, _position - 2) : AuthResponseResult.InvalidStatusLine;
            case State.LineStart:
                return InLineStart(ch);
            case State.Name:
                return InName(ch, buffer);
            case State.SpacesBeforeValue:
                if (ch != (byte)' ')
                {
                    _valueStart = _position - 1;
                    _state = State.Value;
                    return InValue(ch, buffer);
                }

                return AuthResponseResult.NeedMore;
            case State.Value:
                return InValue(ch, buffer);
            case State.HeaderEnd:
                return ch == (byte)'\n' ? Enter(State.LineStart) : AuthResponseResult.InvalidHeader;
            default:
                return ch == (byte)'\n' ? EndBlock() : AuthResponseResult.InvalidHeader;
        }
    }

    private AuthResponseResult InStart(byte ch)
    {
        ReadOnlySpan<byte> prefix = "HTTP/"u8;
        if (ch == prefix[_position - 1])
        {
            HasStatusLine = _position == prefix.Length;
            return HasStatusLine ? Enter(State.StatusLine) : AuthResponseResult.NeedMore;
        }

        // No status line: what was compared so far (at most four letters) is the beginning of the first header.
        if (_position == 1)
        {
            return InLineStart(ch);
        }

        _position--;
        _nameStart = 0;
        return Enter(State.Name);
    }

    private AuthResponseResult InStatusLine(byte ch, ReadOnlySpan<byte> buffer) => ch switch
    {
        (byte)'\r' => Enter(State.StatusLineEnd),
        (byte)'\n' => EndStatusLine(buffer, _position - 1),
        _ => AuthResponseResult.NeedMore,
    };

    /// <summary>Takes <c>HTTP/1.n SP 3DIGIT</c> apart (RFC 9112 section 4); a line that is different is skipped all the same.</summary>
    private AuthResponseResult EndStatusLine(ReadOnlySpan<byte> buffer, int end)
    {
        ReadOnlySpan<byte> line = buffer[..end];
        if (line.Length >= 8 && line.StartsWith("HTTP/1."u8) && char.IsAsciiDigit((char)line[7]))
        {
            HttpMinorVersion = line[7] - (byte)'0';
            ReadOnlySpan<byte> rest = line[8..];
            if (rest.Length >= 4 && rest[0] == (byte)' ' && (rest.Length == 4 || rest[4] == (byte)' ')
                && TryParseNumber(rest[1..4], out long code) && code >= 100)
            {
                StatusCode = (int)code;
            }
        }

        return Enter(State.LineStart);
    }

    private AuthResponseResult InLineStart(byte ch)
    {
        switch (ch)
        {
            case (byte)'\r':
                return Enter(State.BlankLineEnd);
            case (byte)'\n':
                return EndBlock();
            default:
                _nameStart = _position - 1;
                return char.IsAsciiLetterOrDigit((char)ch) ? Enter(State.Name) : AuthResponseResult.InvalidHeader;
        }
    }

    private AuthResponseResult InName(byte ch, ReadOnlySpan<byte> buffer)
    {
        if (char.IsAsciiLetterOrDigit((char)ch) || ch == (byte)'-')
        {
            return AuthResponseResult.NeedMore;
        }

        _name = new ByteRange(_nameStart, _position - 1 - _nameStart);
        _valueStart = _position - 1;
        return ch switch
        {
            (byte)':' => Enter(State.SpacesBeforeValue),
            (byte)'\r' or (byte)'\n' => InValue(ch, buffer),
            _ => AuthResponseResult.InvalidHeader,
        };
    }

    private AuthResponseResult InValue(byte ch, ReadOnlySpan<byte> buffer)
    {
        if (ch is not ((byte)'\r' or (byte)'\n'))
        {
            // RFC 9110 section 5.5: NUL in a value is not to be passed on. It would end up in a reply line or in the backend's login.
            return ch == 0 ? AuthResponseResult.InvalidHeader : AuthResponseResult.NeedMore;
        }

        int length = buffer[_valueStart..(_position - 1)].TrimEnd((byte)' ').Length;
        Take(_name.In(buffer), new ByteRange(_valueStart, length), buffer);
        return Enter(ch == (byte)'\r' ? State.HeaderEnd : State.LineStart);
    }

    private AuthResponseResult EndBlock()
    {
        Consumed = _position;
        return AuthResponseResult.Complete;
    }

    private AuthResponseResult Enter(State state)
    {
        _state = state;
        return AuthResponseResult.NeedMore;
    }

    private void Take(ReadOnlySpan<byte> name, ByteRange range, ReadOnlySpan<byte> buffer)
    {
        ReadOnlySpan<byte> value = range.In(buffer);
        if (name.Length > 5 && Ascii.EqualsIgnoreCase(name[..5], "Auth-"u8))
        {
            TakeAuth(name[5..], range, value);
        }
        else if (Ascii.EqualsIgnoreCase(name, "Connection"u8))
        {
            TakeConnection(value);
        }
        else if (Ascii.EqualsIgnoreCase(name, "Transfer-Encoding"u8))
        {
            HasTransferEncoding = true;
        }
        else if (Ascii.EqualsIgnoreCase(name, "Content-Length"u8))
        {
            TakeContentLength(value);
        }
    }

    private void TakeAuth(ReadOnlySpan<byte> name, ByteRange range, ReadOnlySpan<byte> value)
    {
        if (Ascii.EqualsIgnoreCase(name, "Status"u8))
        {
            TakeStatus(range, value);
        }
        else if (Ascii.EqualsIgnoreCase(name, "Server"u8))
        {
            Server = range;
        }
        else if (Ascii.EqualsIgnoreCase(name, "Port"u8))
        {
            Port = range;
        }
        else if (Ascii.EqualsIgnoreCase(name, "User"u8))
        {
            User = range;
        }
        else if (Ascii.EqualsIgnoreCase(name, "Pass"u8))
        {
            Pass = range;
        }
        else if (Ascii.EqualsIgnoreCase(name, "Error-Code"u8))
        {
            ErrorCode = range;
        }
        else if (Ascii.EqualsIgnoreCase(name, "Wait"u8) && TryParseNumber(value, out long seconds))
        {
            WaitSeconds = (int)Math.Min(seconds, int.MaxValue);
        }
    }

    private void TakeStatus(ByteRange range, ReadOnlySpan<byte> value)
    {
        bool isOk = value.SequenceEqual("OK"u8);
        if (!isOk && !value.SequenceEqual("WAIT"u8))
        {
            Status = AuthStatus.Refused;
            Message = range;
        }
        else if (Status != AuthStatus.Refused)
        {
            Status = isOk ? AuthStatus.Ok : AuthStatus.Wait;
        }
    }

    private void TakeConnection(ReadOnlySpan<byte> value)
    {
        foreach (Range part in value.Split((byte)','))
        {
            ReadOnlySpan<byte> token = value[part].Trim(" \t"u8);
            ConnectionKeepAlive |= Ascii.EqualsIgnoreCase(token, "keep-alive"u8);
            ConnectionClose |= Ascii.EqualsIgnoreCase(token, "close"u8);
        }
    }

    /// <summary>RFC 9112 section 6.3: a length that is no number or contradicts another one frames nothing.</summary>
    private void TakeContentLength(ReadOnlySpan<byte> value)
    {
        _contentLengthInvalid |= !TryParseNumber(value, out long length) || (ContentLength is { } known && known != length);
        ContentLength = _contentLengthInvalid ? null : length;
    }

    /// <summary>Digits only, at least one, that fit 63 bits.</summary>
    private static bool TryParseNumber(ReadOnlySpan<byte> digits, out long value)
    {
        value = 0;
        return digits.Length > 0 && digits.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0
            && Utf8Parser.TryParse(digits, out value, out int used) && used == digits.Length;
    }
}
