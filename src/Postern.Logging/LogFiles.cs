using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Logging;

/// <summary>
/// The log files of the process, by path. Configuration generations share them, so that the sessions of an old one write where the
/// newest does after a rotation, and a thousand reloads open a file once. A file nobody logs to any more is closed by the garbage
/// collector. Used on one thread; written to from any.
/// </summary>
/// <param name="open">
/// Opens a path for appending: the descriptor, which is then this object's, or the negated errno. A process without the right to open
/// them gets its files from another one.
/// </param>
public sealed class LogFiles(Func<string, int> open)
{
    private const int OpenFlags = Libc.O_WRONLY | Libc.O_APPEND | Libc.O_CREAT | Libc.O_CLOEXEC;
    private const int Mode = 0x1a4; // 0644

    private readonly Dictionary<string, WeakReference<FileTarget>> _files = new(StringComparer.Ordinal);

    /// <summary>Files this process opens itself.</summary>
    public LogFiles()
        : this(Open)
    {
    }

    /// <summary>Opens a log file as all log files are opened.</summary>
    /// <returns>The descriptor, the caller's, or the negated errno.</returns>
    public static int Open(string path)
    {
        int fd = Libc.open(path, OpenFlags, Mode);
        return fd >= 0 ? fd : -Marshal.GetLastPInvokeError();
    }

    /// <summary>
    /// Opens all files again by their paths (signal USR1, after log rotation). A file that cannot be opened stays as it was.
    /// </summary>
    /// <returns>One <c>open() "PATH" failed (…)</c> per failure, for the caller to log at level emerg.</returns>
    public IReadOnlyList<string> Reopen()
    {
        List<string> errors = [];
        foreach ((string path, WeakReference<FileTarget> reference) in _files)
        {
            if (!reference.TryGetTarget(out FileTarget? file))
            {
                continue;
            }

            // What was logged before the rotation belongs to the old file, and is there before the new one is.
            file.Flush();
            int fresh = open(path);
            int errno = fresh < 0 ? -fresh : file.Replace(fresh);
            if (errno != 0)
            {
                errors.Add(ErrorLogSet.OpenFailed(path, errno));
            }
        }

        return errors;
    }

    /// <summary>The file in use for the path, or null; and the path opened anew.</summary>
    /// <param name="path">Absolute.</param>
    /// <param name="fresh">The caller's descriptor, or the negated errno.</param>
    internal FileTarget? Find(string path, out int fresh)
    {
        fresh = open(path);
        return _files.TryGetValue(path, out WeakReference<FileTarget>? reference) && reference.TryGetTarget(out FileTarget? file) ? file : null;
    }

    internal void Add(string path, FileTarget file)
    {
        _files[path] = new WeakReference<FileTarget>(file);
        foreach (string forgotten in _files.Where(entry => !entry.Value.TryGetTarget(out _)).Select(entry => entry.Key).ToList())
        {
            _files.Remove(forgotten);
        }
    }
}
