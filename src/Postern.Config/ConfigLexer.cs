using System.Text;

namespace Postern.Config;

/// <summary>What ended a directive.</summary>
public enum StatementEnd
{
    /// <summary><c>;</c></summary>
    Semicolon,

    /// <summary><c>{</c></summary>
    BlockStart,

    /// <summary><c>}</c>, with no words before it.</summary>
    BlockEnd,

    /// <summary>The text is over, with no words pending.</summary>
    EndOfText,

    /// <summary><see cref="ConfigLexer.Error"/> says why; nothing more can be read.</summary>
    Error,
}

/// <summary>
/// Splits configuration text into directives: words ended by <c>;</c>, <c>{</c> or <c>}</c> (mail-proxy reference 1.1).
/// Works on bytes; words are handed out as UTF-8 text.
/// </summary>
/// <param name="text">The whole file, or the text of <c>-g</c>.</param>
/// <param name="isParameter">The text came with <c>-g</c>: no limit on a word, other words for an early end.</param>
public sealed class ConfigLexer(ReadOnlyMemory<byte> text, bool isParameter = false)
{
    /// <summary>nginx reads files through a buffer of this many bytes that has to hold a whole word and its terminator.</summary>
    public const int MaxWordBytes = 4096;

    private const int ShownBytes = 10;

    private readonly List<string> _words = [];
    private readonly List<byte> _word = [];
    private int _position;
    private int _line = 1;
    private int _wordStart;
    private int _wordLine;

    private enum State
    {
        Between,
        Word,
        DoubleQuoted,
        SingleQuoted,
        AfterQuote,
    }

    /// <summary>The words of the statement just read; the first is the directive's name. Overwritten by the next read.</summary>
    public IReadOnlyList<string> Words => _words;

    /// <summary>The line being read, counted from 1.</summary>
    public int Line => _line;

    /// <summary>nginx's message, after <see cref="StatementEnd.Error"/>.</summary>
    public string? Error { get; private set; }

    /// <summary>The line <see cref="Error"/> is about: usually where reading stopped, for an overlong word where it began.</summary>
    public int ErrorLine { get; private set; }

    /// <summary>Reads the next statement.</summary>
    public StatementEnd Read()
    {
        _words.Clear();
        State state = State.Between;
        while (true)
        {
            if (_position == text.Length)
            {
                return AtEnd(state);
            }

            if (state != State.Between && !isParameter && _position - _wordStart >= MaxWordBytes)
            {
                return FailOverlong(state);
            }

            byte next = text.Span[_position++];
            if (next == '\n')
            {
                _line++;
            }

            StatementEnd? end = state switch
            {
                State.Between => OnBetween(next, ref state),
                State.AfterQuote => OnAfterQuote(next, ref state),
                State.Word => OnWord(next, ref state),
                _ => OnQuoted(next, ref state),
            };
            if (end is StatementEnd known)
            {
                return known;
            }
        }
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n';

    private StatementEnd? OnBetween(byte next, ref State state)
    {
        if (IsSpace(next))
        {
            return null;
        }

        switch (next)
        {
            case (byte)';' or (byte)'{' when _words.Count == 0:
            case (byte)'}' when _words.Count != 0:
                return Unexpected(next);
            case (byte)';':
                return StatementEnd.Semicolon;
            case (byte)'{':
                return StatementEnd.BlockStart;
            case (byte)'}':
                return StatementEnd.BlockEnd;
            case (byte)'#':
                SkipComment();
                return null;
            case (byte)'"':
                state = StartWord(State.DoubleQuoted, _position);
                return null;
            case (byte)'\'':
                state = StartWord(State.SingleQuoted, _position);
                return null;
            default:
                state = StartWord(State.Word, _position - 1);
                TakeByte(next);
                return null;
        }
    }

    private StatementEnd? OnAfterQuote(byte next, ref State state)
    {
        if (IsSpace(next))
        {
            state = State.Between;
            return null;
        }

        switch (next)
        {
            case (byte)';':
                return StatementEnd.Semicolon;
            case (byte)'{':
                return StatementEnd.BlockStart;
            case (byte)')':
                // begins a word of its own, as nginx has it for the sake of its "if (...)"
                state = StartWord(State.Word, _position - 1);
                TakeByte(next);
                return null;
            default:
                return Unexpected(next);
        }
    }

    private StatementEnd? OnWord(byte next, ref State state)
    {
        if (next == '{' && IsAfterDollar())
        {
            _word.Add(next);
            return null;
        }

        if (!IsSpace(next) && next is not ((byte)';' or (byte)'{'))
        {
            TakeByte(next);
            return null;
        }

        EndWord();
        state = State.Between;
        return next switch
        {
            (byte)';' => StatementEnd.Semicolon,
            (byte)'{' => StatementEnd.BlockStart,
            _ => null,
        };
    }

    private StatementEnd? OnQuoted(byte next, ref State state)
    {
        if (next != (state == State.DoubleQuoted ? '"' : '\''))
        {
            TakeByte(next);
            return null;
        }

        EndWord();
        state = State.AfterQuote;
        return null;
    }

    /// <summary>Whether the byte before the one just read is a <c>$</c> that was not escaped: then <c>{</c> belongs to the word.</summary>
    private bool IsAfterDollar()
    {
        int dollar = _position - 2;
        return dollar >= _wordStart && text.Span[dollar] == '$' && !(dollar > _wordStart && IsEscaped(dollar));
    }

    private bool IsEscaped(int position)
    {
        int backslashes = 0;
        while (position - 1 - backslashes >= _wordStart && text.Span[position - 1 - backslashes] == '\\')
        {
            backslashes++;
        }

        return backslashes % 2 == 1;
    }

    /// <summary>Adds a byte to the word; behind a backslash the next one too, whatever it is.</summary>
    private void TakeByte(byte value)
    {
        if (value != '\\' || _position == text.Length)
        {
            _word.Add(value);
            return;
        }

        byte escaped = text.Span[_position++];
        switch (escaped)
        {
            case (byte)'"' or (byte)'\'' or (byte)'\\':
                _word.Add(escaped);
                break;
            case (byte)'t':
                _word.Add((byte)'\t');
                break;
            case (byte)'r':
                _word.Add((byte)'\r');
                break;
            case (byte)'n':
                _word.Add((byte)'\n');
                break;
            default:
                _word.Add(value);
                _word.Add(escaped);
                break;
        }

        if (escaped == '\n')
        {
            _line++;
        }
    }

    private State StartWord(State state, int start)
    {
        _word.Clear();
        _wordStart = start;
        _wordLine = _line;
        return state;
    }

    private void EndWord() => _words.Add(Encoding.UTF8.GetString([.. _word]));

    private void SkipComment()
    {
        int length = text.Span[_position..].IndexOf((byte)'\n');
        _position = length < 0 ? text.Length : _position + length;
    }

    private StatementEnd AtEnd(State state)
    {
        if (state == State.Between && _words.Count == 0)
        {
            return StatementEnd.EndOfText;
        }

        return Fail(
            isParameter
                ? "unexpected end of parameter, expecting \";\""
                : "unexpected end of file, expecting \";\" or \"}\"",
            _line);
    }

    private StatementEnd FailOverlong(State state)
    {
        string message = state switch
        {
            State.DoubleQuoted => "too long parameter, probably missing terminating \"\"\" character",
            State.SingleQuoted => "too long parameter, probably missing terminating \"'\" character",
            _ => $"too long parameter \"{Encoding.UTF8.GetString(text.Span.Slice(_wordStart, ShownBytes))}...\" started",
        };
        return Fail(message, _wordLine);
    }

    private StatementEnd Unexpected(byte value) => Fail($"unexpected \"{Encoding.UTF8.GetString([value])}\"", _line);

    private StatementEnd Fail(string message, int line)
    {
        Error = message;
        ErrorLine = line;
        return StatementEnd.Error;
    }
}
