using System.Globalization;

namespace Postern.EndToEndTests;

/// <summary>What the kernel says about a process.</summary>
internal static class ProcessMemory
{
    /// <summary>The proportional set size in KB.</summary>
    public static long KilobytesOf(int id)
    {
        string line = File.ReadLines($"/proc/{id}/smaps_rollup").First(line => line.StartsWith("Pss:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    /// <summary>Open descriptors.</summary>
    public static int DescriptorsOf(int id) => Directory.GetFileSystemEntries($"/proc/{id}/fd").Length;

    /// <summary>What a process has in memory of the program's code, by proc_pid_smaps(5).</summary>
    /// <param name="id">Of the process.</param>
    /// <param name="program">Path of its executable.</param>
    /// <returns>Bytes in memory, and bytes in all.</returns>
    public static (long Resident, long Size) OfCode(int id, string program)
    {
        string[] mapping = [.. File.ReadLines($"/proc/{id}/smaps")
            .SkipWhile(line => !(line.Contains(" r-xp ", StringComparison.Ordinal) && line.EndsWith(program, StringComparison.Ordinal))).Take(10)];
        return (Of("Rss:"), Of("Size:"));

        long Of(string name) => 1024 * long.Parse(
            mapping.First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
