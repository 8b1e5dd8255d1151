namespace Postern.Logging;

/// <summary>Levels of the error log, most severe first, numbered as syslog severities (nginx <c>error_log</c>).</summary>
public enum LogLevel
{
    Emerg = 0,
    Alert = 1,
    Crit = 2,
    Error = 3,
    Warn = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}
