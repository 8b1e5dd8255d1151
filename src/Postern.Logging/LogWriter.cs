namespace Postern.Logging;

/// <summary>
/// While one exists, lines for files and standard error are written by a thread of its own, many at a time: a disk that hangs, or a
/// pipe that is full, must not hold up an event loop. The thread is made with the first line. The first line after silence is written at
/// once; those that follow it within a few milliseconds go together, without waking the thread for each. Without a writer, lines are
/// written by whoever logs them.
/// </summary>
public sealed class LogWriter : IDisposable
{
    /// <summary>What a disk that hangs may cost at the end of the process.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(1);

    /// <summary>Lines of this time are written together: a wake-up costs more than a line, and nobody reads a log that fast.</summary>
    private static readonly TimeSpan _pause = TimeSpan.FromMilliseconds(5);

    private static LogWriter? _current;

    private readonly object _gate = new();
    private readonly Queue<QueuedTarget> _waiting = new();
    private Thread? _thread;
    private bool _stopping;

    private LogWriter()
    {
        AppDomain.CurrentDomain.UnhandledException += OnCrash;
    }

    /// <summary>The one of the process, or null.</summary>
    internal static LogWriter? Current => Volatile.Read(ref _current);

    /// <summary>From now on, until it is disposed of, lines are written by this object.</summary>
    public static LogWriter Start()
    {
        var writer = new LogWriter();
        Volatile.Write(ref _current, writer);
        return writer;
    }

    /// <summary>Writes what there is and ends; later lines are written at once.</summary>
    public void Dispose()
    {
        AppDomain.CurrentDomain.UnhandledException -= OnCrash;
        _ = Interlocked.CompareExchange(ref _current, null, this);
        Thread? thread;
        lock (_gate)
        {
            _stopping = true;
            thread = _thread;
            Monitor.PulseAll(_gate);
        }

        _ = thread?.Join(_patience);
    }

    /// <summary>The target has lines now, and the writer did not know of any.</summary>
    internal void Announce(QueuedTarget target)
    {
        lock (_gate)
        {
            if (_thread is not null || TryStart())
            {
                _waiting.Enqueue(target);
                Monitor.Pulse(_gate);
                return;
            }
        }

        target.Flush();
    }

    /// <returns>False if there is no memory for a thread: the next line tries again.</returns>
    private bool TryStart()
    {
        try
        {
            var thread = new Thread(Run, maxStackSize: 128 * 1024) { IsBackground = true, Name = "log writer" };
            thread.Start();
            _thread = thread;
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }

    private void OnCrash(object sender, UnhandledExceptionEventArgs e) => Dispose();

    private void Run()
    {
        List<QueuedTarget> busy = [];
        while (TakeAnnounced(busy))
        {
            busy.RemoveAll(static target => !target.WriteWaiting());
        }
    }

    /// <summary>Waits for targets that have lines; those that had some lately are asked again after a pause.</summary>
    /// <param name="busy">Targets that are known already; others are added.</param>
    /// <returns>False at the end, when everything is written.</returns>
    private bool TakeAnnounced(List<QueuedTarget> busy)
    {
        lock (_gate)
        {
            if (busy.Count > 0 && !_stopping)
            {
                _ = Monitor.Wait(_gate, _pause);
            }

            while (_waiting.Count == 0 && busy.Count == 0)
            {
                if (_stopping)
                {
                    return false;
                }

                _ = Monitor.Wait(_gate);
            }

            while (_waiting.TryDequeue(out QueuedTarget? target))
            {
                busy.Add(target);
            }

            return true;
        }
    }
}

/// <summary>A descriptor that takes lines by write(2), at once or by a <see cref="LogWriter"/>. What it does not take is lost.</summary>
internal abstract class QueuedTarget : LogTarget
{
    /// <summary>Bytes that may wait, for a disk that hangs: some thousand lines.</summary>
    private const int MaxWaiting = 1024 * 1024;

    /// <summary>A buffer of this size is kept for the next lines.</summary>
    private const int KeptBytes = 4096;

    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(1);

    /// <summary>Held while lines are written, so that they stay in order.</summary>
    private readonly Lock _order = new();

    /// <summary>Held while buffers change.</summary>
    private readonly Lock _gate = new();
    private byte[] _waiting = [];
    private byte[] _writing = [];
    private int _length;
    private int _lost;
    private bool _announced;

    /// <summary>-1 = closed.</summary>
    protected abstract int Descriptor { get; }

    public override int Write(LogLevel level, ReadOnlySpan<byte> line)
    {
        if (LogWriter.Current is { } writer)
        {
            if (Append(line))
            {
                writer.Announce(this);
            }
        }
        else
        {
            WriteNow(line);
        }

        return 0;
    }

    /// <summary>Writes what waits. On the writer's thread.</summary>
    /// <returns>False if nothing did: the writer forgets this target until it is announced again.</returns>
    internal bool WriteWaiting()
    {
        lock (_order)
        {
            return WriteOnce();
        }
    }

    /// <summary>Has everything logged so far written, unless the writer hangs at it.</summary>
    internal void Flush()
    {
        if (_order.TryEnter(_patience))
        {
            try
            {
                while (WriteOnce())
                {
                }
            }
            finally
            {
                _order.Exit();
            }
        }
    }

    private bool WriteOnce()
    {
        if (!TakeWaiting(out int length, out int lost))
        {
            return false;
        }

        WriteNow(_writing.AsSpan(0, length));
        if (lost > 0)
        {
            WriteNow(LostLine(lost));
        }

        return true;
    }

    /// <returns>Whether the writer has to be told.</returns>
    private bool Append(ReadOnlySpan<byte> line)
    {
        lock (_gate)
        {
            if (_length + line.Length > MaxWaiting)
            {
                _lost++;
                return false;
            }

            if (_waiting.Length < _length + line.Length)
            {
                Array.Resize(ref _waiting, Math.Max(KeptBytes, Math.Max(_waiting.Length * 2, _length + line.Length)));
            }

            line.CopyTo(_waiting.AsSpan(_length));
            _length += line.Length;
            bool first = !_announced;
            _announced = true;
            return first;
        }
    }

    /// <summary>Exchanges the buffers; false if nothing waits.</summary>
    private bool TakeWaiting(out int length, out int lost)
    {
        lock (_gate)
        {
            (length, lost) = (_length, _lost);
            (_length, _lost) = (0, 0);
            if (length == 0)
            {
                _announced = false;
                _waiting = _waiting.Length > KeptBytes ? [] : _waiting;
                _writing = _writing.Length > KeptBytes ? [] : _writing;
                return false;
            }

            (_waiting, _writing) = (_writing, _waiting);
            return true;
        }
    }

    private void WriteNow(ReadOnlySpan<byte> bytes)
    {
        int descriptor = Descriptor;
        while (descriptor >= 0 && !bytes.IsEmpty)
        {
            nint written = Interop.Libc.write(descriptor, bytes);
            if (written <= 0)
            {
                // A full disk loses lines, nothing else; there is nowhere to report it.
                return;
            }

            bytes = bytes[(int)written..];
        }
    }

    private static byte[] LostLine(int lost)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        LogClock.AppendPrefix(ref line, TimeProvider.System, LogLevel.Alert);
        line.Append(lost);
        line.Append(" lines are missing here: they could not be written in time\n"u8);
        return line.Written.ToArray();
    }
}
