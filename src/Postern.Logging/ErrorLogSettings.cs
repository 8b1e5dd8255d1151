namespace Postern.Logging;

/// <summary>Where one <c>error_log</c> directive writes.</summary>
public enum ErrorLogTargetKind
{
    /// <summary>A file opened for appending; <see cref="ErrorLogSettings.Path"/> is absolute.</summary>
    File,

    /// <summary>Standard error.</summary>
    StandardError,

    /// <summary>Syslog datagrams, see <see cref="ErrorLogSettings.Syslog"/>.</summary>
    Syslog,

    /// <summary>A cyclic buffer in the process; <see cref="ErrorLogSettings.MemoryBytes"/> is its size.</summary>
    Memory,
}

/// <summary>One <c>error_log TARGET [LEVEL]</c> directive.</summary>
public sealed record ErrorLogSettings
{
    public required ErrorLogTargetKind Kind { get; init; }

    /// <summary>Messages of this level and more severe ones are written.</summary>
    public LogLevel Level { get; init; } = LogLevel.Error;

    /// <summary>Absolute path, for <see cref="ErrorLogTargetKind.File"/>; otherwise empty.</summary>
    public string Path { get; init; } = "";

    /// <summary>Size of the cyclic buffer in bytes, for <see cref="ErrorLogTargetKind.Memory"/>.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>Parameters, for <see cref="ErrorLogTargetKind.Syslog"/>; otherwise null.</summary>
    public SyslogSettings? Syslog { get; init; }
}

/// <summary>Parameters of <c>error_log syslog:…</c>.</summary>
public sealed record SyslogSettings
{
    /// <summary>Path of the unix datagram socket, or empty when <see cref="Server"/> is set.</summary>
    public string UnixPath { get; init; } = "";

    /// <summary>UDP address, resolved at start; null when <see cref="UnixPath"/> is set.</summary>
    public System.Net.IPEndPoint? Server { get; init; }

    /// <summary>Facility number 0–23, in nginx's order (kern … local7).</summary>
    public int Facility { get; init; } = 23;

    /// <summary>The tag in front of each message: letters, digits and <c>_</c>, at most 32.</summary>
    public string Tag { get; init; } = "nginx";

    /// <summary><c>nohostname</c>: leave the host name out of the datagram.</summary>
    public bool NoHostName { get; init; }
}
