using Postern.Config;
using Postern.Logging;

namespace Postern.Server.Running;

/// <summary>What is said about a configuration, as lines of its log.</summary>
internal static class ConfigLog
{
    /// <summary>nginx's words at a reload with another <c>lock_file</c>, at level emerg although the reload goes on.</summary>
    public const string LockFileChanged = "\"lock_file\" could not be changed, ignored";

    public static LogLevel LevelOf(ConfigMessage message) => message.Severity switch
    {
        ConfigSeverity.Notice => LogLevel.Notice,
        ConfigSeverity.Warn => LogLevel.Warn,
        ConfigSeverity.Error => LogLevel.Error,
        ConfigSeverity.Crit => LogLevel.Crit,
        _ => LogLevel.Emerg,
    };

    /// <summary>Without the level, which the log prints itself.</summary>
    public static string TextOf(ConfigMessage message)
    {
        string rendered = message.Render();
        return rendered[(rendered.IndexOf(']', StringComparison.Ordinal) + 2)..];
    }
}
