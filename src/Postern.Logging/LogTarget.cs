using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Logging;

/// <summary>Where complete lines go. Called from several threads at once.</summary>
internal abstract class LogTarget : IDisposable
{
    /// <summary>Takes one line, its line feed included.</summary>
    /// <returns>0, or the errno of a failure worth a line in the other targets.</returns>
    public abstract int Write(LogLevel level, ReadOnlySpan<byte> line);

    /// <summary>For the failure line: what failed, and where; never called for targets that do not report failures.</summary>
    public virtual string FailureText => "";

    public abstract void Dispose();
}

/// <summary>Standard error. A failing write has nowhere to be reported.</summary>
internal sealed class StandardErrorTarget : QueuedTarget
{
    protected override int Descriptor => 2;

    public override void Dispose()
    {
    }
}

/// <summary>
/// A file opened for appending: whole lines in each write(2), so that those of several threads and processes do not mix. A full disk loses
/// lines, nothing else.
/// </summary>
internal sealed class FileTarget : QueuedTarget
{
    private int _fd;

    /// <param name="fd">Open for appending; this object closes it, at the latest when nobody refers to it any more.</param>
    public FileTarget(int fd)
    {
        _fd = fd;
    }

    ~FileTarget() => Close();

    protected override int Descriptor => Volatile.Read(ref _fd);

    /// <summary>Puts another file under the old number, so that no writer meets a closed one.</summary>
    /// <param name="fresh">The other file, closed in any case.</param>
    /// <returns>0, or the errno; the old file stays in use then.</returns>
    public int Replace(int fresh)
    {
        Flush();
        int errno = Libc.log_dup3(fresh, _fd, Libc.O_CLOEXEC) < 0 ? Marshal.GetLastPInvokeError() : 0;
        _ = Libc.close(fresh);
        return errno;
    }

    /// <summary>The caller sees to it that no thread writes any more.</summary>
    public override void Dispose()
    {
        Close();
        GC.SuppressFinalize(this);
    }

    private void Close()
    {
        int fd = Interlocked.Exchange(ref _fd, -1);
        if (fd >= 0)
        {
            _ = Libc.close(fd);
        }
    }
}

/// <summary>A cyclic buffer: the newest lines, the oldest bytes overwritten.</summary>
internal sealed class MemoryTarget(int capacityBytes) : LogTarget
{
    private readonly byte[] _ring = new byte[Math.Max(capacityBytes, 1)];
    private readonly Lock _gate = new();
    private int _next;
    private bool _wrapped;

    public override int Write(LogLevel level, ReadOnlySpan<byte> line)
    {
        lock (_gate)
        {
            foreach (byte ch in line)
            {
                _ring[_next++] = ch;
                if (_next == _ring.Length)
                {
                    _next = 0;
                    _wrapped = true;
                }
            }
        }

        return 0;
    }

    public override void Dispose()
    {
    }

    /// <summary>What the buffer holds, oldest byte first; the first line may have lost its beginning.</summary>
    public byte[] Snapshot()
    {
        lock (_gate)
        {
            return _wrapped ? [.. _ring.AsSpan(_next), .. _ring.AsSpan(0, _next)] : _ring.AsSpan(0, _next).ToArray();
        }
    }
}
