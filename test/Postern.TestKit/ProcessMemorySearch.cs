using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Postern.TestKit;

/// <summary>A secret that was found in a process's memory.</summary>
/// <param name="Secret">Its name.</param>
/// <param name="Place">Address and name of the mapping.</param>
/// <param name="InDump">Whether a core dump would have it.</param>
/// <param name="Around">What stands there, some bytes before and behind it included, one character a byte.</param>
public sealed record MemoryFinding(string Secret, string Place, bool InDump, string Around);

/// <summary>Searches all memory of a process that is ours.</summary>
public static class ProcessMemorySearch
{
    private const int BytesAround = 80;

    /// <summary>Every place where one of the secrets is.</summary>
    public static List<MemoryFinding> Find(int processId, IReadOnlyDictionary<string, byte[]> secrets)
    {
        List<MemoryFinding> found = [];
        using var memory = new FileStream($"/proc/{processId}/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 0);
        foreach ((long start, long end, string name, bool inDump) in ReadMappings(processId))
        {
            if (!TryRead(memory, start, end, out byte[]? bytes))
            {
                continue;
            }

            foreach ((string secret, byte[] pattern) in secrets)
            {
                for (int at = bytes.AsSpan().IndexOf(pattern); at >= 0;)
                {
                    int from = Math.Max(0, at - BytesAround);
                    string around = Text.Of(bytes.AsSpan(from, Math.Min(bytes.Length, at + pattern.Length + BytesAround) - from));
                    found.Add(new MemoryFinding(secret, string.Create(CultureInfo.InvariantCulture, $"{start + at:x} {name}"), inDump, around));
                    int next = bytes.AsSpan(at + 1).IndexOf(pattern);
                    at = next < 0 ? -1 : at + 1 + next;
                }
            }
        }

        return found;
    }

    private static bool TryRead(FileStream memory, long start, long end, [NotNullWhen(true)] out byte[]? bytes)
    {
        const long Largest = 512L << 20;
        bytes = null;
        if (end - start > Largest)
        {
            // Reserved by the garbage collector, not in use as a whole.
            return false;
        }

        bytes = new byte[end - start];
        try
        {
            memory.Seek(start, SeekOrigin.Begin);
            memory.ReadExactly(bytes);
            return true;
        }
        catch (IOException)
        {
            // Pages without access rights, and those of the kernel.
            return false;
        }
    }

    /// <summary>Parses proc_pid_smaps(5): in its flags <c>dd</c> says that a core dump leaves the mapping out.</summary>
    private static List<(long Start, long End, string Name, bool InDump)> ReadMappings(int processId)
    {
        List<(long, long, string, bool)> mappings = [];
        (long Start, long End, string Name) current = (0, 0, "");
        foreach (string line in File.ReadLines($"/proc/{processId}/smaps"))
        {
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields[0] == "VmFlags:")
            {
                mappings.Add((current.Start, current.End, current.Name, !fields.Contains("dd")));
            }
            else if (!fields[0].EndsWith(':'))
            {
                long[] range = [.. fields[0].Split('-').Select(part => long.Parse(part, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
                current = (range[0], range[1], fields.Length > 5 ? fields[5] : "");
            }
        }

        return mappings;
    }
}
