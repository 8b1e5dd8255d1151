using System.Text;
using Postern.Config;
using Postern.Logging;
using Postern.Sessions;

namespace Postern.Server.Configuration;

/// <summary>
/// Directive <c>error_log</c> (mail-proxy reference 1.7). Stands here because the room that writes the logs knows nothing of
/// the configuration language.
/// </summary>
internal static class ErrorLogDirective
{
    /// <summary>The logs named outside all blocks.</summary>
    public static readonly Slot<IReadOnlyList<ErrorLogSettings>> MainLogs = new([]);

    private const string SyslogScheme = "syslog:";
    private const string MemoryScheme = "memory:";

    /// <summary>Masks that admit debug messages of a part of the program, and whether postern has that part.</summary>
    private static readonly Dictionary<string, bool> _masks = new()
    {
        ["debug_core"] = true,
        ["debug_alloc"] = true,
        ["debug_mutex"] = true,
        ["debug_event"] = true,
        ["debug_http"] = false,
        ["debug_mail"] = true,
        ["debug_stream"] = false,
    };

    public static IReadOnlyList<Directive> Table { get; } =
    [
        Row(ConfigContexts.Main, MainLogs),
        Row(ConfigContexts.MailAndServer, MailDirectives.ErrorLogs),
    ];

    /// <summary>The file that is added, at level error, when no main <c>error_log</c> names one.</summary>
    public static IReadOnlyList<ErrorLogSettings> WithDefault(
        IReadOnlyList<ErrorLogSettings> logs, string target, ConfigEnvironment environment) =>
        logs.Any(log => log.Kind is ErrorLogTargetKind.File or ErrorLogTargetKind.StandardError)
            ? logs
            : [.. logs, FileOrStandardError(target, environment)];

    private static Directive Row(ConfigContexts contexts, Slot<IReadOnlyList<ErrorLogSettings>> slot) =>
        Directive.Custom("error_log", contexts, 1, Directive.AnyNumber, call => Read(call, slot));

    private static void Read(DirectiveCall call, Slot<IReadOnlyList<ErrorLogSettings>> slot)
    {
        if (ReadTarget(call) is ErrorLogSettings target && ReadLevel(call) is LogLevel level)
        {
            call.Scope.Append(slot, target with { Level = level });
        }
    }

    private static ErrorLogSettings? ReadTarget(DirectiveCall call)
    {
        string target = call.Arguments[0];
        if (target.StartsWith(MemoryScheme, StringComparison.Ordinal))
        {
            return ReadMemory(call, target[MemoryScheme.Length..]);
        }

        if (target.StartsWith(SyslogScheme, StringComparison.Ordinal))
        {
            return SyslogParameters.Parse(call, target[SyslogScheme.Length..]) is SyslogSettings syslog
                ? new ErrorLogSettings { Kind = ErrorLogTargetKind.Syslog, Syslog = syslog }
                : null;
        }

        return FileOrStandardError(target, call.Environment);
    }

    /// <summary>A cyclic buffer in each process, for whoever looks at it with a debugger.</summary>
    private static ErrorLogSettings? ReadMemory(DirectiveCall call, string text)
    {
        // The longest line and what nginx writes in front, where the directive stands among it.
        const int Overhead = 2099;
        long least = Overhead + Encoding.UTF8.GetByteCount(call.Position.File ?? "");
        if (ValueParsers.Size(text) is long size && size >= least)
        {
            return new ErrorLogSettings { Kind = ErrorLogTargetKind.Memory, MemoryBytes = size };
        }

        call.Error($"invalid buffer size \"{text}\"");
        return null;
    }

    private static ErrorLogSettings FileOrStandardError(string target, ConfigEnvironment environment) => target is "stderr" or ""
        ? new ErrorLogSettings { Kind = ErrorLogTargetKind.StandardError }
        : new ErrorLogSettings { Kind = ErrorLogTargetKind.File, Path = environment.UnderPrefix(target) };

    /// <summary>One level, or any number of masks.</summary>
    private static LogLevel? ReadLevel(DirectiveCall call)
    {
        LogLevel? level = null;
        bool masked = false;
        foreach (string word in call.Arguments.Skip(1))
        {
            if (_masks.TryGetValue(word, out bool isOurs) && (level is null || masked))
            {
                // the log then takes everything, and debug messages of the parts named
                level = isOurs ? LogLevel.Debug : level ?? LogLevel.Info;
                masked = true;
                continue;
            }

            LogLevel? known = LogLevelNames.Parse(word);
            if (known is null || level is not null)
            {
                call.Error(known is null ? $"invalid log level \"{word}\"" : $"duplicate log level \"{word}\"");
                return null;
            }

            level = known;
        }

        return level ?? LogLevel.Error;
    }
}
