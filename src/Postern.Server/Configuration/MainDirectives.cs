using System.Globalization;
using Postern.Config;
using Postern.Interop;
using Postern.Server.Processes;
using Postern.Sessions;

namespace Postern.Server.Configuration;

/// <summary>The directives outside all blocks (mail-proxy reference 1.6).</summary>
internal static class MainDirectives
{
    public static readonly Slot<(string User, string Group)?> User = new(null);
    public static readonly Slot<int> WorkerProcesses = new(1);
    public static readonly Slot<int> WorkerPriority = new(0);
    public static readonly Slot<long?> WorkerRlimitNofile = new(null);
    public static readonly Slot<long?> WorkerRlimitCore = new(null);
    public static readonly Slot<TimeSpan> WorkerShutdownTimeout = new(TimeSpan.Zero);
    public static readonly Slot<string?> WorkingDirectory = new(null);
    public static readonly Slot<bool> Daemon = new(true);
    public static readonly Slot<bool> MasterProcess = new(true);
    public static readonly Slot<string?> PidFile = new(null);
    public static readonly Slot<CpuAffinity?> Affinity = new(null);
    public static readonly Slot<IReadOnlyList<string>> EnvironmentVariables = new([]);

    private const int MaxCpus = 1024;

    private static readonly Slot<bool> _foreignSeen = new(false);
    private static readonly Slot<string?> _sslEngine = new(null);

    // Knobs of parts that are built differently here; the configuration may turn them, docs/parity.md lists them.
    public static readonly Slot<string?> LockFile = new(null);
    private static readonly Slot<TimeSpan> _timerResolution = new(TimeSpan.Zero);
    private static readonly Slot<int?> _debugPoints = new(null);
    private static readonly Slot<bool> _pcreJit = new(false);
    private static readonly Slot<bool> _objectCacheInheritable = new(true);

    /// <summary>HTTP/3 only.</summary>
    private static readonly Slot<bool> _quicBpf = new(false);

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Directive.Custom("user", ConfigContexts.Main, 1, 2, ReadUser),
        Directive.Once("worker_processes", ConfigContexts.Main, WorkerProcesses, ReadWorkerProcesses),
        Directive.Once("worker_cpu_affinity", ConfigContexts.Main, 1, Directive.AnyNumber, Affinity, ReadCpuAffinity),
        Directive.Once("worker_priority", ConfigContexts.Main, WorkerPriority, ReadPriority),
        Directive.Once("worker_rlimit_nofile", ConfigContexts.Main, WorkerRlimitNofile, ReadRlimitNofile),
        Directive.Once("worker_rlimit_core", ConfigContexts.Main, WorkerRlimitCore, ReadRlimitCore),
        Directive.Milliseconds("worker_shutdown_timeout", ConfigContexts.Main, WorkerShutdownTimeout),
        Directive.Text("working_directory", ConfigContexts.Main, WorkingDirectory),
        Directive.Flag("daemon", ConfigContexts.Main, Daemon),
        Directive.Flag("master_process", ConfigContexts.Main, MasterProcess),
        Directive.Text("pid", ConfigContexts.Main, PidFile),
        Directive.Text("lock_file", ConfigContexts.Main, LockFile),
        Directive.Custom("env", ConfigContexts.Main, 1, 1, ReadEnv),
        Directive.Custom("load_module", ConfigContexts.Main, 1, 1, ReadLoadModule),
        Directive.Milliseconds("timer_resolution", ConfigContexts.Main, _timerResolution),
        Directive.Keyword("debug_points", ConfigContexts.Main, _debugPoints, new("stop", 1), new("abort", 2)),
        Directive.Flag("pcre_jit", ConfigContexts.Main, _pcreJit),
        ThreadPoolDirective.Row,
        Directive.Once("ssl_engine", ConfigContexts.Main, _sslEngine, ReadSslEngine),
        Directive.Flag("ssl_object_cache_inheritable", ConfigContexts.Main, _objectCacheInheritable),
        Directive.Flag("quic_bpf", ConfigContexts.Main, _quicBpf),
        Directive.ForeignBlock("http", ConfigContexts.Main, SkipForeign),
        Directive.ForeignBlock("stream", ConfigContexts.Main, SkipForeign),
    ];

    private static void ReadUser(DirectiveCall call)
    {
        // A worker reads the configuration again when it has become that user.
        if (Libc.geteuid() != 0 && ProcessRole.Current.Kind != ProcessKind.Worker)
        {
            call.Warn("the \"user\" directive makes sense only if the master process runs with super-user privileges, ignored");
            return;
        }

        if (call.Scope.Sets(User))
        {
            call.Error("\"user\" directive is duplicate");
            return;
        }

        string user = call.Arguments[0];
        string group = call.Arguments.Count > 1 ? call.Arguments[1] : user;
        if (Libc.getpwnam(user) == 0)
        {
            call.Error($"getpwnam(\"{user}\") failed");
        }
        else if (Libc.getgrnam(group) == 0)
        {
            call.Error($"getgrnam(\"{group}\") failed");
        }
        else
        {
            call.Scope.Set(User, (user, group));
        }
    }

    private static void ReadWorkerProcesses(DirectiveCall call)
    {
        string text = call.Arguments[0];
        if (text == "auto")
        {
            call.Scope.Set(WorkerProcesses, Environment.ProcessorCount);
        }
        else if (ValueParsers.Number(text) is not long number)
        {
            call.InvalidValue();
        }
        else if (number == 0)
        {
            // nginx starts a master that serves nobody
            call.Warn("\"worker_processes\" 0 would serve no connection, 1 is used");
            call.Scope.Set(WorkerProcesses, 1);
        }
        else
        {
            call.Scope.Set(WorkerProcesses, (int)Math.Min(number, int.MaxValue));
        }
    }

    private static void ReadCpuAffinity(DirectiveCall call)
    {
        call.Scope.Set(Affinity, null);
        IEnumerable<string> masks = call.Arguments;
        if (call.Arguments[0] == "auto")
        {
            if (call.Arguments.Count > 2)
            {
                call.Error("invalid number of arguments in \"worker_cpu_affinity\" directive");
                return;
            }

            masks = masks.Skip(1);
        }

        foreach (string mask in masks)
        {
            if (FindMaskFault(mask) is string fault)
            {
                call.Error(fault);
                return;
            }
        }

        call.Scope.Set(Affinity, new CpuAffinity(call.Arguments[0] == "auto", [.. masks]));
    }

    private static string? FindMaskFault(string mask)
    {
        if (mask.Length > MaxCpus)
        {
            return string.Create(CultureInfo.InvariantCulture, $"\"worker_cpu_affinity\" supports up to {MaxCpus} CPUs only");
        }

        // nginx reads a mask from its right end
        int wrong = mask.AsSpan().LastIndexOfAnyExcept("01 ");
        return wrong < 0 ? null : $"invalid character \"{mask[wrong]}\" in \"worker_cpu_affinity\"";
    }

    private static void ReadPriority(DirectiveCall call)
    {
        string text = call.Arguments[0];
        bool negative = text.StartsWith('-');
        string digits = negative || text.StartsWith('+') ? text[1..] : text;
        if (ValueParsers.Number(digits) is not long number)
        {
            call.Error("\"worker_priority\" directive invalid number");
            return;
        }

        int nice = (int)Math.Min(number, int.MaxValue);
        call.Scope.Set(WorkerPriority, negative ? -nice : nice);
    }

    private static void ReadRlimitNofile(DirectiveCall call)
    {
        if (ValueParsers.Number(call.Arguments[0]) is long number)
        {
            call.Scope.Set(WorkerRlimitNofile, number);
        }
        else
        {
            call.Error("\"worker_rlimit_nofile\" directive invalid number");
        }
    }

    private static void ReadRlimitCore(DirectiveCall call)
    {
        if (ValueParsers.Offset(call.Arguments[0]) is long bytes)
        {
            call.Scope.Set(WorkerRlimitCore, bytes);
        }
        else
        {
            call.InvalidValue();
        }
    }

    /// <summary>For workers of a master; a process that serves by itself keeps the environment it was started with.</summary>
    private static void ReadEnv(DirectiveCall call) => call.Scope.Append(EnvironmentVariables, call.Arguments[0]);

    private static void ReadLoadModule(DirectiveCall call)
    {
        if (call.Scope.Sets(EventsDirectives.Block) || call.Scope.Sets(MailDirectives.Seen) || call.Scope.Sets(_foreignSeen))
        {
            call.Error("\"load_module\" directive is specified too late");
            return;
        }

        call.Notice($"\"load_module\" \"{call.Arguments[0]}\" is ignored, the mail modules are built in");
    }

    private static void ReadSslEngine(DirectiveCall call)
    {
        call.Scope.Set(_sslEngine, call.Arguments[0]);
        call.Warn("\"ssl_engine\" is not supported, ignored");
    }

    /// <summary>A copied configuration may contain other servers; they are somebody else's.</summary>
    private static void SkipForeign(DirectiveCall call)
    {
        call.Scope.Set(_foreignSeen, true);
        call.Warn($"\"{call.Directive.Name}\" block is not supported, skipped");
        call.SkipBlock();
    }
}
