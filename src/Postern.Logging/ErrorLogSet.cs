using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;
using Postern.Interop;

namespace Postern.Logging;

/// <summary>
/// All log targets of one configuration generation: opens them, shares a file that several servers or an older generation name. Opening,
/// committing and disposing happen on one thread; writing on any.
/// </summary>
/// <param name="time">The clock of the time stamps.</param>
/// <param name="files">The files of the process.</param>
/// <param name="hostName">Name of this host for syslog, lower case; null = ask the system.</param>
public sealed class ErrorLogSet(TimeProvider time, LogFiles files, string? hostName = null) : IDisposable
{
    private readonly Dictionary<string, FileTarget> _files = new(StringComparer.Ordinal);

    /// <summary>Paths opened anew for files an older generation has open: theirs from <see cref="Commit"/> on.</summary>
    private readonly Dictionary<FileTarget, int> _renewed = [];
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
    /// The configuration is in force: files an older one has open are replaced by what stands under their paths now, as after a rotation.
    /// </summary>
    public void Commit()
    {
        foreach ((FileTarget file, int fresh) in _renewed)
        {
            // dup3(2) of two open descriptors fails only in a race with open(2); the old file stays in use then.
            _ = file.Replace(fresh);
        }

        _renewed.Clear();
    }

    /// <summary>Gives up what was not committed. What is shared stays open as long as somebody logs to it.</summary>
    public void Dispose()
    {
        foreach (int fresh in _renewed.Values)
        {
            _ = Libc.close(fresh);
        }

        _renewed.Clear();
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
                file = files.Find(settings.Path, out int fresh);
                if (fresh < 0)
                {
                    target = null;
                    error = OpenFailed(settings.Path, -fresh);
                    return false;
                }

                if (file is null)
                {
                    file = new FileTarget(fresh);
                    files.Add(settings.Path, file);
                }
                else
                {
                    _renewed.Add(file, fresh);
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

    internal static string OpenFailed(string path, int errno)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        line.Append("open() \""u8);
        line.Append(path);
        line.Append("\" failed"u8);
        line.AppendErrno(errno);
        return Encoding.UTF8.GetString(line.Written);
    }
}
