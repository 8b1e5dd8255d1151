using System.Net;
using Postern.Config;
using Postern.Server.Processes;

namespace Postern.Server.Configuration;

/// <summary>What is to be loaded: the command line's part in the configuration.</summary>
public sealed record ConfigurationSource
{
    /// <summary><c>-p</c>; null = <see cref="DefaultPaths.Prefix"/>.</summary>
    public string? Prefix { get; init; }

    /// <summary><c>-c</c>, relative to the prefix; null = <see cref="DefaultPaths.ConfigFile"/>.</summary>
    public string? ConfigFile { get; init; }

    /// <summary><c>-g</c>: directives read before the file.</summary>
    public string? Directives { get; init; }

    /// <summary><c>-e</c>, a path relative to the prefix or <c>stderr</c>; null = <see cref="DefaultPaths.ErrorLog"/>.</summary>
    public string? ErrorLog { get; init; }

    /// <summary>See <see cref="ConfigEnvironment.DefersTls"/>.</summary>
    public bool DefersTls { get; init; }

    /// <summary>Addresses of a host name, empty if there are none.</summary>
    public Func<string, IReadOnlyList<IPAddress>> ResolveHost { get; init; } = ResolveRecorded;

    /// <summary>A worker without privileges knows the same addresses as whoever read the configuration first.</summary>
    private static IReadOnlyList<IPAddress> ResolveRecorded(string name) =>
        ConfigFiles.Current is RecordedFiles recorded ? recorded.Resolve(name) : HostResolver.Resolve(name);

    /// <summary>The prefix as an absolute path that ends with <c>/</c>.</summary>
    public string PrefixDirectory
    {
        get
        {
            string prefix = Path.GetFullPath(string.IsNullOrEmpty(Prefix) ? Prefix is null ? DefaultPaths.Prefix : "." : Prefix);
            return prefix.EndsWith('/') ? prefix : prefix + "/";
        }
    }

    /// <summary>The main configuration file, absolute.</summary>
    public string ConfigPath
    {
        get
        {
            string file = ConfigFile ?? DefaultPaths.ConfigFile;
            return file.StartsWith('/') ? file : PrefixDirectory + file;
        }
    }
}
