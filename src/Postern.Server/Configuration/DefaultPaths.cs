namespace Postern.Server.Configuration;

/// <summary>
/// Where things are when neither the command line nor the configuration says otherwise. The one place that knows. A package
/// chooses its own when it publishes the binary (properties <c>PosternPrefix</c>, <c>PosternConfPath</c>, <c>PosternPidPath</c>,
/// <c>PosternErrorLogPath</c>), as nginx's <c>configure</c> does.
/// </summary>
public static class DefaultPaths
{
    /// <summary><c>-p</c>; base of the other paths. nginx's default has the same shape, <c>/usr/local/nginx/</c>.</summary>
    public static string Prefix { get; } = Chosen("Postern.Prefix") ?? "/usr/local/postern/";

    /// <summary><c>-c</c>, relative to the prefix.</summary>
    public static string ConfigFile { get; } = Chosen("Postern.ConfPath") ?? "conf/postern.conf";

    /// <summary>Directive <c>lock_file</c>, relative to the prefix; there is no such file.</summary>
    public const string LockFile = "logs/nginx.lock";

    /// <summary>Directive <c>pid</c>, relative to the prefix.</summary>
    public static string PidFile { get; } = Chosen("Postern.PidPath") ?? "logs/postern.pid";

    /// <summary><c>-e</c> and the log added when no <c>error_log</c> names a file, relative to the prefix.</summary>
    public static string ErrorLog { get; } = Chosen("Postern.ErrorLogPath") ?? "logs/error.log";

    private static string? Chosen(string name) => AppContext.GetData(name) as string;
}
