namespace Postern.Logging;

/// <summary>
/// The opened targets of the <c>error_log</c> directives that apply to one place of the configuration. Immutable and thread-safe; the files
/// belong to the <see cref="ErrorLogSet"/> that opened it.
/// </summary>
public sealed class ErrorLog
{
    private readonly TimeProvider _time;
    private readonly Entry[] _entries;
    private readonly int _threshold;
    private long _lastFailureSecond;

    internal ErrorLog(TimeProvider time, Entry[] entries)
    {
        _time = time;
        _entries = entries;
        _threshold = entries.Length == 0 ? -1 : entries.Max(entry => (int)entry.Level);
    }

    /// <summary>A log that writes nothing.</summary>
    public static ErrorLog None { get; } = new(TimeProvider.System, []);

    /// <summary>The targets, for tests.</summary>
    internal IEnumerable<LogTarget> Targets => _entries.Select(entry => entry.Target);

    /// <summary>Standard error alone: for what happens before the configuration was read.</summary>
    public static ErrorLog ToStandardError(LogLevel level, TimeProvider time) =>
        new(time, [new Entry(new StandardErrorTarget(), level)]);

    /// <summary>The same targets, each of which takes every level: for clients that <c>debug_connection</c> names.</summary>
    public ErrorLog WithEveryLevel() => new(_time, [.. _entries.Select(entry => entry with { Level = LogLevel.Debug })]);

    /// <summary>Whether a message of this level is written anywhere; ask before building one.</summary>
    public bool IsEnabled(LogLevel level) => (int)level <= _threshold;

    /// <summary>
    /// Writes one line, <c>YYYY/MM/DD HH:MM:SS [LEVEL] PID#TID: MESSAGE</c>, cut to 2048 bytes with its line feed, to each target that
    /// admits the level.
    /// </summary>
    /// <param name="level">Its severity.</param>
    /// <param name="message">
    /// One line without line feed; foreign bytes in it already escaped (<see cref="LogLine.AppendEscaped(ReadOnlySpan{byte})"/>).
    /// </param>
    public void Write(LogLevel level, ReadOnlySpan<byte> message)
    {
        if (!IsEnabled(level))
        {
            return;
        }

        Span<byte> buffer = stackalloc byte[LogLine.MaxBytes];
        ReadOnlySpan<byte> line = Complete(buffer, level, message);
        foreach (Entry entry in _entries)
        {
            if (level > entry.Level)
            {
                continue;
            }

            int errno = entry.Target.Write(level, line);
            if (errno != 0)
            {
                ReportFailure(entry.Target, errno);
            }
        }
    }

    private ReadOnlySpan<byte> Complete(Span<byte> buffer, LogLevel level, ReadOnlySpan<byte> message)
    {
        LogLine line = new(buffer[..^1]);
        LogClock.AppendPrefix(ref line, _time, level);
        line.Append(message);
        int length = line.Written.Length;
        buffer[length] = (byte)'\n';
        return buffer[..(length + 1)];
    }

    /// <summary>
    /// Tells the targets that do not fail themselves, once a second at most: a dead syslog daemon must not fill the disk.
    /// </summary>
    private void ReportFailure(LogTarget failed, int errno)
    {
        long second = LogClock.Seconds(_time);
        if (Interlocked.Exchange(ref _lastFailureSecond, second) == second)
        {
            return;
        }

        LogLine message = new(stackalloc byte[LogLine.MaxBytes]);
        message.Append("send() failed"u8);
        message.AppendErrno(errno);
        message.Append(" "u8);
        message.AppendEscaped(failed.FailureText);
        Span<byte> buffer = stackalloc byte[LogLine.MaxBytes];
        ReadOnlySpan<byte> line = Complete(buffer, LogLevel.Alert, message.Written);
        foreach (Entry entry in _entries)
        {
            if (LogLevel.Alert <= entry.Level && entry.Target is not SyslogTarget)
            {
                _ = entry.Target.Write(LogLevel.Alert, line);
            }
        }
    }

    /// <summary>One target and the least severe level it takes.</summary>
    internal readonly record struct Entry(LogTarget Target, LogLevel Level);
}
