namespace Postern.Config;

/// <summary>
/// Where the files a configuration names come from. Usually from the disk; a process without the right to read them gets what
/// a privileged one has read.
/// </summary>
public abstract class ConfigFiles
{
    private static ConfigFiles? _current;

    /// <summary>
    /// The files of the configuration that this process is reading. Ambient, because what reads files stands at the end of long
    /// chains that otherwise have nothing to do with where they come from; of the process and not of a thread, because keys are
    /// read on a thread of their own. One configuration is read at a time wherever they do not come from the disk.
    /// </summary>
    public static ConfigFiles Current
    {
        get => Volatile.Read(ref _current) ?? DiskFiles.Instance;
        set => Volatile.Write(ref _current, value);
    }

    /// <summary>The content of a configuration file.</summary>
    /// <exception cref="IOException">It cannot be read; so with <see cref="UnauthorizedAccessException"/>.</exception>
    public abstract byte[] Read(string path);

    /// <summary>
    /// The content of a file that may hold a key, in pinned memory; the caller does not keep it. Null = no such file is known
    /// here: whoever needs it opens the path itself, and knows best how to describe what is wrong with it.
    /// </summary>
    public abstract byte[]? TryReadSecret(string path);

    /// <summary>Existing paths that match a pattern of <c>include</c>, in byte order; empty if there are none.</summary>
    public abstract IReadOnlyList<string> Expand(string pattern);
}

/// <summary>The files of this machine, as this process may read them.</summary>
public sealed class DiskFiles : ConfigFiles
{
    public static DiskFiles Instance { get; } = new();

    public override byte[] Read(string path) => File.ReadAllBytes(path);

    public override byte[]? TryReadSecret(string path) => null;

    public override IReadOnlyList<string> Expand(string pattern) => FileGlob.Expand(pattern);
}
