using System.Globalization;
using System.Runtime.CompilerServices;
using SharpFuzz;

namespace Postern.Fuzz;

/// <summary>
/// <c>Postern.Fuzz TARGET|all SECONDS [SEED] [--keep]</c>: coverage-guided fuzzing of postern's parsers, in this process. SharpFuzz counts
/// the branches, the loop around it is ours. With <c>all</c> the time is shared by the targets.
/// </summary>
internal static class Program
{
    private static readonly string[] _instrumented = ["Postern.Protocol.dll", "Postern.Config.dll"];

    private static int Main(string[] arguments)
    {
        if (arguments.Length < 2 || !double.TryParse(arguments[1], CultureInfo.InvariantCulture, out double seconds))
        {
            Console.Error.WriteLine("usage: Postern.Fuzz TARGET|all SECONDS [SEED] [--keep]");
            return 2;
        }

        foreach (string name in _instrumented)
        {
            Instrument(Path.Combine(AppContext.BaseDirectory, name));
        }

        int seed = arguments.Length > 2 && int.TryParse(arguments[2], CultureInfo.InvariantCulture, out int given) ? given : Environment.TickCount;
        return Run(arguments[0], seconds, seed, arguments.Contains("--keep"));
    }

    /// <summary>Puts the counters into an assembly of the output folder; nothing of it may have been loaded yet.</summary>
    private static void Instrument(string path)
    {
        try
        {
            _ = Fuzzer.Instrument(path, _ => true, Options.Value);
        }
        catch (InstrumentationException e) when (e.Message.Contains("already instrumented", StringComparison.Ordinal))
        {
            // By an earlier run; a build replaces it.
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Run(string name, double seconds, int seed, bool keep)
    {
        IFuzzTarget[] targets = [.. TargetList.All.Where(target => name == "all" || target.Name == name)];
        if (targets.Length == 0)
        {
            Console.Error.WriteLine($"no target \"{name}\"; there are: {string.Join(' ', TargetList.All.Select(target => target.Name))}");
            return 2;
        }

        bool clean = true;
        foreach (IFuzzTarget target in targets)
        {
            var run = new FuzzRun(target, Path.GetFullPath(Path.Combine("fuzz", "corpus", target.Name)), Path.GetFullPath(Path.Combine("fuzz", "findings")));
            clean &= run.Run(TimeSpan.FromSeconds(seconds / targets.Length), seed, keep);
        }

        return clean ? 0 : 1;
    }
}
