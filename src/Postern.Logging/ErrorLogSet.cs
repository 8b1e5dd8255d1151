using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;
using Postern.Interop;

namespace Postern.Logging;

/// <summary>
/// All log targets of one configuration generation: opens them, shares a file that several servers name, reopens files for log rotation,
/// closes them. Opening, reopening and disposing happen on one thread; writing on any.
/// </summary>
/// <param name="time">The clock of the time stamps.</param>
/// <param name="hostName">Name of this host for syslog, lower case; null = ask the system.</param>
public sealed class ErrorLogSet(TimeProvider time, string? hostName = null) : IDisposable
{
    private readonly Dictionary<string, FileTarget> _files = new(StringComparer.Ordinal);
    private readonly List<LogTarget> _others = [];

    /// <summary>Opens the targets of one place of the configuration.</summary>
    /// <param name="settings">Its <c>error_log</c> directives.</param>
    /// <param name="log">The log, owned by this set.</param>
    /// <param name="error"><c>open() "PATH" failed (13: Permission denied)</c>, for the caller to report at level emerg.</param>
    /// <returns>False if a file cannot be opened.</returns>
    public bool TryOpen(
        IReadOnlyList<ErrorLogSettings> settings, [NotNullWhen(true)] out ErrorLog? log, [NotNullWhen(false)] out string? error)
    {
        ArgumentNullException.ThrowIfNull(settings);
        log = null;
        ErrorLog.Entry[] entries = new ErrorLog.Entry[settings.Count];
        for (int i = 0; i < entries.Length; i++)
        {
            if (!TryOpenTarget(settings[i], out LogTarget? target, out error))
            {
                return false;
            }

            entries[i] = new ErrorLog.Entry(target, settings[i].Level);
        }

        log = new ErrorLog(time, entries);
        error = null;
        return true;
    }

    /// <summary>
    /// Opens all files again by their paths (signal USR1, after log rotation). A file that cannot be opened stays as it was.
    /// </summary>
    /// <returns>One <c>open() "PATH" failed (…)</c> per failure, for the caller to log at level emerg.</returns>
    public IReadOnlyList<string> Reopen()
    {
        List<string> errors = [];
        foreach ((string path, FileTarget file) in _files)
        {
            int errno = file.Reopen();
            if (errno != 0)
            {
                errors.Add(OpenFailed(path, errno));
            }
        }

        return errors;
    }

    /// <summary>Closes everything; no thread writes to a log of this set any more.</summary>
    public void Dispose()
    {
        foreach (FileTarget file in _files.Values)
        {
            file.Dispose();
        }

        _files.Clear();
        foreach (LogTarget target in _others)
        {
            target.Dispose();
        }

        _others.Clear();
    }

    private bool TryOpenTarget(
        ErrorLogSettings settings, [NotNullWhen(true)] out LogTarget? target, [NotNullWhen(false)] out string? error)
    {
        error = null;
        if (settings.Kind == ErrorLogTargetKind.File)
        {
            if (!_files.TryGetValue(settings.Path, out FileTarget? file))
            {
                file = FileTarget.Open(settings.Path, out int errno);
                if (file is null)
                {
                    target = null;
                    error = OpenFailed(settings.Path, errno);
                    return false;
                }

                _files.Add(settings.Path, file);
            }

            target = file;
            return true;
        }

        target = settings.Kind switch
        {
            ErrorLogTargetKind.StandardError => new StandardErrorTarget(),
            ErrorLogTargetKind.Memory => new MemoryTarget((int)Math.Min(settings.MemoryBytes, Array.MaxLength)),
            _ => new SyslogTarget(settings.Syslog ?? new SyslogSettings(), HostName(), time),
        };
        _others.Add(target);
        return true;
    }

    private string HostName() => hostName ?? Dns.GetHostName().ToLowerInvariant();

    /// <summary>The text for another file that could not be opened, by what the runtime says.</summary>
    public static string OpenFailed(string path, Exception fault) => OpenFailed(path, fault switch
    {
        UnauthorizedAccessException => Libc.EACCES,
        DirectoryNotFoundException or FileNotFoundException => Libc.ENOENT,
        _ => fault.HResult & 0xFFFF,
    });

    private static string OpenFailed(string path, int errno)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        line.Append("open() \""u8);
        line.Append(path);
        line.Append("\" failed"u8);
        line.AppendErrno(errno);
        return Encoding.UTF8.GetString(line.Written);
    }
}
