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
}
