using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Postern.Bench;

/// <summary>
/// Divides <c>--hold</c> among several posterns, each with clients and backends of its own, where one process may not have
/// as many descriptors as it takes.
/// </summary>
internal static class IdleParts
{
    /// <summary>For those who log in and out, listening sockets, and the auth server.</summary>
    private const int Others = 2000;

    /// <summary>What postern needs: two for each held session.</summary>
    public static int Descriptors(int held) => (2 * held) + Others;

    /// <returns>Number of posterns.</returns>
    public static int Needed(BenchOptions options)
    {
        long allowed = Native.AllowDescriptors(Descriptors(options.Hold));
        long each = (allowed - Others) / 2;
        return each <= 0
            ? throw new InvalidOperationException($"{allowed} descriptors are not enough for anything (ulimit -n)")
            : (int)((options.Hold + each - 1) / each);
    }

    /// <summary>Runs the parts at once and passes on what they print, their number in front.</summary>
    /// <returns>The worst exit status.</returns>
    public static int Run(BenchOptions options, int parts)
    {
        Console.WriteLine($"One process may not have {Descriptors(options.Hold)} descriptors here: {parts} posterns beside each other.");
        List<Process> running = [.. Enumerable.Range(1, parts).Select(part => Start(options, part, parts))];
        using PosixSignalRegistration term = PosixSignalRegistration.Create(
            PosixSignal.SIGTERM, signal => running.ForEach(process => _ = Native.kill(process.Id, Native.SIGTERM)));
        running.ForEach(process => process.WaitForExit());
        return running.Max(process => process.ExitCode);
    }

    private static Process Start(BenchOptions options, int part, int parts)
    {
        var start = new ProcessStartInfo(
            Environment.ProcessPath!,
            [
                "--hold", Share(options.Hold, part, parts),
                "--rate", Share(options.Rate, part, parts),
                "--minutes", options.Minutes.ToString(CultureInfo.InvariantCulture),
                "--postern", options.Postern,
                "--log", options.LogLevel ?? "error",
            ])
        {
            RedirectStandardOutput = true,
        };
        Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, line) =>
        {
            if (line.Data is { } text)
            {
                Console.WriteLine($"{part}: {text}");
            }
        };
        process.BeginOutputReadLine();
        return process;
    }

    /// <summary>As even as whole numbers allow; at least 1.</summary>
    private static string Share(int whole, int part, int parts) =>
        Math.Max(1, (whole / parts) + (part <= whole % parts ? 1 : 0)).ToString(CultureInfo.InvariantCulture);
}
