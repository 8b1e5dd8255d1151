using System.Buffers.Text;
using Postern.Interop;

namespace Postern.Net;

/// <summary>
/// The memory limits of the control group the process is in when this is made (cgroups(7)), and of those around it. Beyond them
/// nothing fails: the kernel kills.
/// </summary>
internal sealed unsafe class ControlGroupMemory
{
    /// <summary>memory.stat is some 2 KB.</summary>
    private const int TextBytes = 8 * 1024;

    /// <summary>Beyond this, version 1 means that there is no limit.</summary>
    private const long NoLimit = 1L << 60;

    private readonly List<Group> _groups = [];

    public ControlGroupMemory()
    {
        const string Memberships = "/proc/self/cgroup";
        if (!File.Exists(Memberships))
        {
            return;
        }

        foreach (string line in File.ReadLines(Memberships))
        {
            // NUMBER:CONTROLLERS:PATH; version 2 has number 0 and no controllers.
            string[] fields = line.Split(':', 3);
            if (fields.Length == 3 && fields[1].Length == 0)
            {
                AddGroups("/sys/fs/cgroup", fields[2], "memory.max", "memory.current");
            }
            else if (fields.Length == 3 && fields[1].Split(',').Contains("memory"))
            {
                AddGroups("/sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes", "memory.usage_in_bytes");
            }
        }
    }

    /// <summary>Whether so many bytes more can be taken without the kernel having to kill.</summary>
    public bool HasRoomFor(long bytes)
    {
        foreach (Group group in _groups)
        {
            long limit = Read(group.Limit);
            long used = Read(group.Usage);
            if (limit is > 0 and < NoLimit && limit - used < bytes && limit - used + ReclaimableBytes(group) < bytes)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The process's own group, which may get a limit later, and those around it that have one.</summary>
    private void AddGroups(string root, string path, string limit, string usage)
    {
        // In a container the path may be one of the host, that is not there; its own group is at the root then.
        string folder = root + (Directory.Exists(root + path) ? path.TrimEnd('/') : "");
        bool isOwn = true;
        while (folder.Length >= root.Length)
        {
            Group group = new(Open($"{folder}/{limit}"), Open($"{folder}/{usage}"), Open($"{folder}/memory.stat"));
            if (group is { Limit: >= 0, Usage: >= 0 } && (isOwn || Read(group.Limit) is > 0 and < NoLimit))
            {
                _groups.Add(group);
            }
            else
            {
                group.Close();
            }

            isOwn = false;
            folder = folder[..folder.LastIndexOf('/')];
        }
    }

    /// <summary>Files read long ago, which the kernel drops before it kills.</summary>
    private static long ReclaimableBytes(Group group)
    {
        byte* text = stackalloc byte[TextBytes];
        int length = group.Statistics < 0 ? 0 : Math.Max(0, (int)Libc.pread(group.Statistics, text, TextBytes, 0));
        ReadOnlySpan<byte> statistics = new(text, length);

        // In version 1 the last one, total_inactive_file, is that of the groups inside, too.
        ReadOnlySpan<byte> name = "inactive_file "u8;
        int found = statistics.LastIndexOf(name);
        return found >= 0 && Utf8Parser.TryParse(statistics[(found + name.Length)..], out long bytes, out _) ? bytes : 0;
    }

    /// <returns>The number in the file; -1 if there is none: <c>max</c>, or the group is gone.</returns>
    private static long Read(int descriptor)
    {
        const int NumberBytes = 32;
        byte* text = stackalloc byte[NumberBytes];
        int length = (int)Libc.pread(descriptor, text, NumberBytes, 0);
        return length > 0 && Utf8Parser.TryParse(new ReadOnlySpan<byte>(text, length), out long number, out _) ? number : -1;
    }

    private static int Open(string path) => Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);

    /// <summary>One group, by the descriptors of its files. Open as long as the process lives.</summary>
    private readonly record struct Group(int Limit, int Usage, int Statistics)
    {
        public void Close()
        {
            foreach (int descriptor in new[] { Limit, Usage, Statistics })
            {
                if (descriptor >= 0)
                {
                    _ = Libc.close(descriptor);
                }
            }
        }
    }
}
