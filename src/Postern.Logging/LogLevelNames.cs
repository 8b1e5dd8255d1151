namespace Postern.Logging;

/// <summary>How configurations and logs write the levels.</summary>
public static class LogLevelNames
{
    private static readonly string[] _names = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];

    /// <summary><c>emerg</c>, <c>alert</c> and so on.</summary>
    public static string Of(LogLevel level) => _names[(int)level];

    /// <param name="name">In small letters.</param>
    /// <returns>Null if it is none.</returns>
    public static LogLevel? Parse(string name) => Array.IndexOf(_names, name) is >= 0 and int number ? (LogLevel)number : null;
}
