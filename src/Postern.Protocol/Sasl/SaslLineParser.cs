namespace Postern.Protocol.Sasl;

/// <summary>What the line parser found.</summary>
public enum SaslLineStatus
{
    /// <summary>No line end yet.</summary>
    NeedMore,

    /// <summary>A line; its first word is the response.</summary>
    Complete,

    /// <summary>A CR that no LF follows, or too many words; reported once the line end has arrived. Counted as an error.</summary>
    Invalid,

    /// <summary>The capacity is used up without a line end: reply and close.</summary>
    TooLong,
}

/// <summary>The result of one call of <see cref="SaslLineParser.Parse"/>.</summary>
/// <param name="Status">What was found.</param>
/// <param name="Consumed">Bytes of the line, its end included, for Complete and Invalid; otherwise 0.</param>
/// <param name="Word">The first word, further ones are ignored; empty if the line is empty or begins with a space.</param>
public readonly record struct SaslLine(SaslLineStatus Status, int Consumed, ByteRange Word);

/// <summary>
/// Parses a client's line in a SASL exchange (RFC 4422 section 3.3), fed a buffer that grows from the line's first byte; each byte is
/// looked at once. Ends with CRLF or a bare LF.
/// </summary>
/// <param name="capacity">Bytes a line may have, its end included; exactly this many are fine.</param>
/// <param name="maxWords">Words a line may have: 3 for IMAP and POP3, 11 for SMTP.</param>
public sealed class SaslLineParser(int capacity, int maxWords)
{
    private State _state;
    private int _position;
    private int _words;
    private int _wordLength;

    private enum State
    {
        Start,
        Word,
        Spaces,
        LineEnd,
        Invalid,
    }

    /// <summary>Bytes looked at since the parser was made: tests prove that the work is linear.</summary>
    internal long ExaminedBytes { get; private set; }

    /// <summary>Forgets the current line; the next buffer starts at the first byte of a new one.</summary>
    public void Reset()
    {
        _state = State.Start;
        _position = 0;
        _words = 0;
        _wordLength = 0;
    }

    /// <summary>Goes on where the last call stopped.</summary>
    /// <param name="buffer">Everything received from the first byte of the line.</param>
    /// <remarks>After any result but NeedMore call <see cref="Reset"/> before parsing another line.</remarks>
    public SaslLine Parse(ReadOnlySpan<byte> buffer)
    {
        int limit = Math.Min(buffer.Length, capacity);
        while (_position < limit)
        {
            byte ch = buffer[_position++];
            ExaminedBytes++;
            if (ch == (byte)'\n')
            {
                EndWord();
                SaslLineStatus status = _state == State.Invalid ? SaslLineStatus.Invalid : SaslLineStatus.Complete;
                return new SaslLine(status, _position, status == SaslLineStatus.Complete ? new ByteRange(0, _wordLength) : default);
            }

            Step(ch);
        }

        return new SaslLine(_position >= capacity ? SaslLineStatus.TooLong : SaslLineStatus.NeedMore, 0, default);
    }

    private void Step(byte ch)
    {
        switch (_state)
        {
            case State.LineEnd:
                _state = State.Invalid;
                break;
            case State.Start or State.Word or State.Spaces when ch == (byte)'\r':
                EndWord();
                _state = State.LineEnd;
                break;
            case State.Start or State.Word when ch == (byte)' ':
                // A space at the start ends the first, empty word.
                if (_state == State.Start)
                {
                    BeginWord();
                }

                EndWord();
                _state = State.Spaces;
                break;
            case State.Start or State.Spaces when ch != (byte)' ':
                BeginWord();
                break;
            default:
                break;
        }
    }

    private void BeginWord()
    {
        _words++;
        _state = _words > maxWords ? State.Invalid : State.Word;
    }

    private void EndWord()
    {
        if (_state == State.Word && _words == 1)
        {
            _wordLength = _position - 1;
        }
    }
}
