using System.Net;
using System.Security.Cryptography;
using Postern.Config;
using Postern.Server.Configuration;

namespace Postern.Server.Processes;

/// <summary>
/// What a configuration drew on while it was read: files, keys among them, patterns and host names. A privileged process records
/// it, the worker reads the same configuration from the record, without the right to open any of it.
/// </summary>
internal sealed class RecordedFiles : ConfigFiles, IDisposable
{
    private readonly Dictionary<string, byte[]> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string[]> _patterns = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IPAddress[]> _hosts = new(StringComparer.Ordinal);
    private readonly bool _records;

    private RecordedFiles(bool records)
    {
        _records = records;
    }

    /// <summary>Reads from the disk, and remembers.</summary>
    public static RecordedFiles Record() => new(records: true);

    /// <summary>What <see cref="Write"/> wrote.</summary>
    /// <param name="source">Its stream has no buffer: keys must not stay behind in one.</param>
    /// <param name="records">Whether what is missing is read from the disk, and remembered; else it is not found.</param>
    public static RecordedFiles Replay(BinaryReader source, bool records = false)
    {
        var files = new RecordedFiles(records);
        for (int left = source.ReadInt32(); left > 0; left--)
        {
            string path = source.ReadString();
            byte[] content = GC.AllocateUninitializedArray<byte>(source.ReadInt32(), pinned: true);
            source.BaseStream.ReadExactly(content);
            files._files.Add(path, content);
        }

        for (int left = source.ReadInt32(); left > 0; left--)
        {
            string pattern = source.ReadString();
            files._patterns.Add(pattern, [.. Enumerable.Range(0, source.ReadInt32()).Select(_ => source.ReadString())]);
        }

        for (int left = source.ReadInt32(); left > 0; left--)
        {
            string name = source.ReadString();
            files._hosts.Add(name, [.. Enumerable.Range(0, source.ReadInt32()).Select(_ => new IPAddress(source.ReadBytes(source.ReadByte())))]);
        }

        return files;
    }

    public override byte[] Read(string path)
    {
        if (!_files.TryGetValue(path, out byte[]? content))
        {
            content = _records ? DiskFiles.Instance.Read(path) : throw new FileNotFoundException(null, path);
            _files.Add(path, content);
        }

        return content;
    }

    public override byte[]? TryReadSecret(string path)
    {
        if (!_files.TryGetValue(path, out byte[]? content))
        {
            content = _records ? TryReadPinned(path) : null;
            if (content is null)
            {
                return null;
            }

            _files.Add(path, content);
        }

        byte[] copy = GC.AllocateUninitializedArray<byte>(content.Length, pinned: true);
        content.CopyTo(copy, 0);
        return copy;
    }

    public override IReadOnlyList<string> Expand(string pattern)
    {
        if (!_patterns.TryGetValue(pattern, out string[]? paths))
        {
            paths = _records ? [.. DiskFiles.Instance.Expand(pattern)] : [];
            _patterns.Add(pattern, paths);
        }

        return paths;
    }

    /// <summary>Addresses of a host name, empty if there are none.</summary>
    public IReadOnlyList<IPAddress> Resolve(string name)
    {
        if (!_hosts.TryGetValue(name, out IPAddress[]? addresses))
        {
            addresses = _records ? [.. HostResolver.Resolve(name)] : [];
            _hosts.Add(name, addresses);
        }

        return addresses;
    }

    /// <param name="target">Its stream has no buffer: keys must not stay behind in one.</param>
    public void Write(BinaryWriter target)
    {
        target.Write(_files.Count);
        foreach ((string path, byte[] content) in _files)
        {
            target.Write(path);
            target.Write(content.Length);
            target.Write(content);
        }

        target.Write(_patterns.Count);
        foreach ((string pattern, string[] paths) in _patterns)
        {
            target.Write(pattern);
            target.Write(paths.Length);
            Array.ForEach(paths, target.Write);
        }

        target.Write(_hosts.Count);
        foreach ((string name, IPAddress[] addresses) in _hosts)
        {
            target.Write(name);
            target.Write(addresses.Length);
            foreach (IPAddress address in addresses)
            {
                byte[] bytes = address.GetAddressBytes();
                target.Write((byte)bytes.Length);
                target.Write(bytes);
            }
        }
    }

    /// <summary>Wipes what was read.</summary>
    public void Dispose()
    {
        foreach (byte[] content in _files.Values)
        {
            CryptographicOperations.ZeroMemory(content);
        }

        _files.Clear();
    }

    /// <returns>Null if it cannot be read; whoever wants it will find out why.</returns>
    private static byte[]? TryReadPinned(string path)
    {
        const int Step = 4096;
        try
        {
            // Without a buffer, and grown by hand: a named pipe has no length, and no copy of a key may be left behind.
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            byte[] content = GC.AllocateUninitializedArray<byte>(Step, pinned: true);
            int length = 0;
            int n;
            while ((n = file.Read(content, length, content.Length - length)) > 0)
            {
                length += n;
                if (length == content.Length)
                {
                    content = Resize(content, length, content.Length * 2);
                }
            }

            return Resize(content, length, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null;
        }
    }

    private static byte[] Resize(byte[] content, int length, int size)
    {
        byte[] resized = GC.AllocateUninitializedArray<byte>(size, pinned: true);
        content.AsSpan(0, length).CopyTo(resized);
        CryptographicOperations.ZeroMemory(content);
        return resized;
    }
}
