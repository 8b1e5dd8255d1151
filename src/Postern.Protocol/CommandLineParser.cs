using Postern.Protocol.Http;

namespace Postern.Protocol;

/// <summary>What the command line parser found in the buffer.</summary>
public enum CommandLineStatus
{
    /// <summary>The line is not complete: receive more and parse the grown buffer.</summary>
    NeedMore,

    /// <summary>A known verb and no more arguments than allowed.</summary>
    Complete,

    /// <summary>Not a command; answer so (counted as an error) and go on behind <see cref="CommandLine{TCommand}.Consumed"/>.</summary>
    Invalid,

    /// <summary>An HTTP request line: answer as to any invalid command, and close at once.</summary>
    HttpRequest,

    /// <summary>The capacity is used up without a line end: answer as to any invalid command, and close.</summary>
    TooLong,
}

/// <summary>The result of one call of <see cref="CommandLineParser{TCommand}.Parse"/>.</summary>
/// <param name="Status">What was found.</param>
/// <param name="Consumed">Bytes of the line, its end included; 0 for NeedMore and TooLong.</param>
/// <param name="Command">The verb; the enum's zero unless complete.</param>
public readonly record struct CommandLine<TCommand>(CommandLineStatus Status, int Consumed, TCommand Command)
    where TCommand : struct, Enum;

/// <summary>
/// Parses one client command of POP3 or SMTP before authentication: <c>verb *(SP argument)</c>, byte by byte, so that however the
/// bytes are split each is looked at once.
/// </summary>
/// <remarks>
/// A line ends with CRLF or a bare LF. A broken command is reported only when its line end has arrived, so that there is exactly one
/// reply to it.
/// </remarks>
/// <typeparam name="TCommand">The protocol's verbs; zero means none of them.</typeparam>
public abstract class CommandLineParser<TCommand>
    where TCommand : struct, Enum
{
    private readonly int _capacity;
    private readonly ByteRange[] _arguments;
    private State _state;
    private int _position;
    private int _verbLength;
    private int _argumentStart;
    private int _textEnd;
    private TCommand _command;

    /// <param name="capacity">Bytes a line may have, its end included; exactly this many are fine.</param>
    /// <param name="maxArguments">Most arguments accepted; one more makes the command invalid.</param>
    private protected CommandLineParser(int capacity, int maxArguments)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        _capacity = capacity;
        _arguments = new ByteRange[maxArguments];
    }

    private enum State
    {
        Verb,
        Spaces,
        Word,

        /// <summary>In an argument that takes the rest of the line.</summary>
        Rest,
        LineEnd,
        Invalid,
    }

    private enum Signal
    {
        None,
        Complete,
        Invalid,
    }

    /// <summary>Arguments of the complete command.</summary>
    public int ArgumentCount { get; private set; }

    /// <summary>
    /// The verb as the client wrote it, for the log ("log the verb only": the rest may hold a password); empty if it is no command's,
    /// for then it may be part of a password, too.
    /// </summary>
    public ByteRange Verb => new(0, _verbLength);

    /// <summary>From the verb to the end of the last argument, trailing spaces and line end left out.</summary>
    public ByteRange Text => new(0, _textEnd);

    /// <summary>Bytes looked at since the parser was made, look-backs included: tests prove that the work is linear.</summary>
    internal long ExaminedBytes { get; private set; }

    /// <summary>Forgets the current command; the next buffer starts at the first byte of a new one.</summary>
    public void Reset()
    {
        _state = State.Verb;
        _position = 0;
        _verbLength = 0;
        _textEnd = 0;
        _command = default;
        ArgumentCount = 0;
    }

    /// <summary>Goes on where the last call stopped.</summary>
    /// <param name="buffer">Everything received from the first byte of the command; earlier bytes unchanged, new ones behind them.</param>
    /// <remarks>After any result but NeedMore call <see cref="Reset"/> before parsing the next command.</remarks>
    public CommandLine<TCommand> Parse(ReadOnlySpan<byte> buffer)
    {
        int limit = Math.Min(buffer.Length, _capacity);
        while (_position < limit)
        {
            byte ch = buffer[_position++];
            ExaminedBytes++;
            switch (Step(ch, buffer))
            {
                case Signal.Complete:
                    return Finish(buffer, CommandLineStatus.Complete);
                case Signal.Invalid:
                    return Finish(buffer, CommandLineStatus.Invalid);
                default:
                    break;
            }
        }

        return new(_position >= _capacity ? CommandLineStatus.TooLong : CommandLineStatus.NeedMore, 0, default);
    }

    /// <summary>An argument of the complete command.</summary>
    /// <param name="index">0 to <see cref="ArgumentCount"/> - 1.</param>
    public ByteRange Argument(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)ArgumentCount, nameof(index));
        return _arguments[index];
    }

    /// <summary>The verb's command, zero if it is none.</summary>
    private protected abstract TCommand Recognise(ReadOnlySpan<byte> verb);

    /// <summary>Whether everything behind the spaces is one argument, spaces in it and behind it included.</summary>
    private protected virtual bool TakesRestOfLine(TCommand command) => false;

    private Signal Step(byte ch, ReadOnlySpan<byte> buffer)
    {
        switch (_state)
        {
            case State.Verb when char.IsAsciiLetter((char)ch):
                return Signal.None;
            case State.Verb:
                return InVerbEnd(ch, buffer);
            case State.Spaces:
                return ch is (byte)' ' or (byte)'\r' or (byte)'\n' ? Separator(ch) : BeginArgument(ch);
            case State.Word when ch is (byte)' ' or (byte)'\r' or (byte)'\n':
            case State.Rest when ch is (byte)'\r' or (byte)'\n':
                EndArgument();
                return Separator(ch);
            case State.Word or State.Rest:
                return Signal.None;
            case State.LineEnd when ch == (byte)'\n':
                return Signal.Complete;
            default:
                return Fail(ch);
        }
    }

    private Signal InVerbEnd(byte ch, ReadOnlySpan<byte> buffer)
    {
        _textEnd = _position - 1;
        _command = Recognise(buffer[.._textEnd]);
        if (EqualityComparer<TCommand>.Default.Equals(_command, default))
        {
            return Fail(ch);
        }

        _verbLength = _textEnd;
        return ch is (byte)' ' or (byte)'\r' or (byte)'\n' ? Separator(ch) : Fail(ch);
    }

    private Signal BeginArgument(byte ch)
    {
        if (ArgumentCount == _arguments.Length)
        {
            return Fail(ch);
        }

        _argumentStart = _position - 1;
        _state = TakesRestOfLine(_command) ? State.Rest : State.Word;
        return Signal.None;
    }

    private void EndArgument()
    {
        _textEnd = _position - 1;
        _arguments[ArgumentCount++] = new ByteRange(_argumentStart, _textEnd - _argumentStart);
    }

    private Signal Separator(byte ch)
    {
        _state = ch == (byte)'\r' ? State.LineEnd : State.Spaces;
        return ch == (byte)'\n' ? Signal.Complete : Signal.None;
    }

    /// <summary>From here on only the line end counts.</summary>
    private Signal Fail(byte ch)
    {
        _state = State.Invalid;
        return ch == (byte)'\n' ? Signal.Invalid : Signal.None;
    }

    private CommandLine<TCommand> Finish(ReadOnlySpan<byte> buffer, CommandLineStatus status)
    {
        if (status == CommandLineStatus.Complete)
        {
            return new(status, _position, _command);
        }

        ReadOnlySpan<byte> line = buffer[.._position];
        ExaminedBytes += line.Length;
        return new(HttpRequestLine.IsMatch(line) ? CommandLineStatus.HttpRequest : status, _position, default);
    }
}
