namespace Postern.Server.Configuration;

/// <summary>Where things are when neither the command line nor the configuration says otherwise. The one place that knows.</summary>
public static class DefaultPaths
{
    /// <summary><c>-p</c>; base of the other paths. nginx's default has the same shape, <c>/usr/local/nginx/</c>.</summary>
    public const string Prefix = "/usr/local/postern/";

    /// <summary><c>-c</c>, relative to the prefix.</summary>
    public const string ConfigFile = "conf/postern.conf";

    /// <summary>Directive <c>pid</c>, relative to the prefix.</summary>
    public const string PidFile = "logs/postern.pid";

    /// <summary><c>-e</c> and the log added when no <c>error_log</c> names a file, relative to the prefix.</summary>
    public const string ErrorLog = "logs/error.log";
}
