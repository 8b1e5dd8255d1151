using System.Globalization;

namespace Postern.Bench;

/// <summary>What the figures were made on.</summary>
internal static class Machine
{
    public static string Describe()
    {
        string processor = Field("/proc/cpuinfo", "model name", ':');
        long memory = long.Parse(Field("/proc/meminfo", "MemTotal", ':').Split(' ')[0], CultureInfo.InvariantCulture) >> 20;
        string kernel = File.ReadAllText("/proc/sys/kernel/osrelease").Trim();
        return $"{Environment.ProcessorCount} x {processor}, {memory} GiB, Linux {kernel.Split('-')[0]}";
    }

    private static string Field(string file, string name, char separator) =>
        File.ReadLines(file).FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal)) is { } line
            ? line[(line.IndexOf(separator, StringComparison.Ordinal) + 1)..].Trim()
            : "";
}
