using Postern.Logging;
using Postern.Net;
using Postern.Sessions;

namespace Postern.Server;

/// <summary>The whole configuration as read from the file and <c>-g</c>: main and events directives, and the mail servers. Immutable.</summary>
public sealed record MainSettings
{
    public string? User { get; init; }

    public string? Group { get; init; }

    /// <summary><c>worker_processes</c>: number of event loops; <c>auto</c> is already replaced by the processors' number.</summary>
    public int WorkerProcesses { get; init; } = 1;

    /// <summary><c>worker_connections</c>, per worker.</summary>
    public int WorkerConnections { get; init; } = 512;

    public bool MultiAccept { get; init; }

    public bool Daemon { get; init; } = true;

    public bool MasterProcess { get; init; } = true;

    /// <summary>Absolute path of the pid file; empty = none (<c>postern demo</c>).</summary>
    public required string PidFile { get; init; }

    /// <summary><c>lock_file</c>, absolute. Nothing is locked; but that a reload does not change it is said, as nginx does.</summary>
    public string LockFile { get; init; } = "";

    public required IReadOnlyList<ErrorLogSettings> ErrorLogs { get; init; }

    /// <summary><c>debug_connection</c>: clients whose sessions are logged at every level.</summary>
    public IReadOnlyList<AddressRange> DebugConnections { get; init; } = [];

    /// <summary><c>worker_shutdown_timeout</c>; zero = wait for ever.</summary>
    public TimeSpan WorkerShutdownTimeout { get; init; }

    /// <summary><c>worker_rlimit_nofile</c>; null = the system's.</summary>
    public long? WorkerRlimitNofile { get; init; }

    /// <summary><c>worker_rlimit_core</c> in bytes; null = the system's.</summary>
    public long? WorkerRlimitCore { get; init; }

    /// <summary><c>worker_priority</c> (nice value).</summary>
    public int WorkerPriority { get; init; }

    /// <summary><c>worker_cpu_affinity</c>; null = the kernel chooses.</summary>
    public CpuAffinity? CpuAffinity { get; init; }

    /// <summary><c>env</c>: names and <c>NAME=value</c>, in order.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    /// <summary><c>working_directory</c>, or null.</summary>
    public string? WorkingDirectory { get; init; }

    public required IReadOnlyList<MailServerSettings> Servers { get; init; }
}
