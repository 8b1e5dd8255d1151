using System.Net;

namespace Postern.Config;

/// <summary>What the meaning of a configuration depends on beside its text.</summary>
public sealed record ConfigEnvironment
{
    /// <summary>Ends with <c>/</c>; base of relative names of logs, the pid file and the like (<c>-p</c>).</summary>
    public required string Prefix { get; init; }

    /// <summary>Ends with <c>/</c>; directory of the main configuration file, base of included files and certificates.</summary>
    public required string ConfigDirectory { get; init; }

    /// <summary>Addresses of a host name, empty if there are none. Not asked for text that is an address.</summary>
    public required Func<string, IReadOnlyList<IPAddress>> ResolveHost { get; init; }

    /// <summary>
    /// Whether the files TLS needs are only read here, into <see cref="ConfigFiles.Current"/>: another process, which gets them from there,
    /// makes contexts of them and reports what is wrong with them.
    /// </summary>
    public bool DefersTls { get; init; }

    /// <summary>A path relative to the prefix.</summary>
    public string UnderPrefix(string path) => Combine(Prefix, path);

    /// <summary>A path relative to the main configuration file's directory.</summary>
    public string UnderConfigDirectory(string path) => Combine(ConfigDirectory, path);

    // Path.Combine would answer alike, but nginx's plain concatenation is what error messages show
    private static string Combine(string directory, string path) => path.StartsWith('/') ? path : directory + path;
}
