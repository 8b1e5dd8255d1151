using System.Globalization;

namespace Postern.Net;

/// <summary>One mapping of this process's memory, a line of proc_pid_maps(5).</summary>
/// <param name="Start">Its first address.</param>
/// <param name="End">The address behind it.</param>
/// <param name="Name">Path of the mapped file, or <c>[heap]</c> and the like; empty = anonymous.</param>
internal readonly record struct MemoryMapping(long Start, long End, string Name)
{
    /// <summary>All mappings, by ascending address; none where there is no proc(5).</summary>
    public static IEnumerable<MemoryMapping> OfThisProcess()
    {
        const string Maps = "/proc/self/maps";
        return File.Exists(Maps) ? File.ReadLines(Maps).Select(Parse) : [];
    }

    /// <summary>START-END RIGHTS OFFSET DEVICE INODE [NAME]</summary>
    private static MemoryMapping Parse(string line)
    {
        const int Fields = 6;
        string[] fields = line.Split(' ', Fields, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string[] range = fields[0].Split('-');
        return new MemoryMapping(Address(range[0]), Address(range[1]), fields.Length == Fields ? fields[Fields - 1] : "");
    }

    /// <summary>Addresses of the kernel's half (<c>[vsyscall]</c>) become negative.</summary>
    private static long Address(string text) => long.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
