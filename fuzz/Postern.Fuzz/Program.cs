using System.Globalization;
using System.Runtime.CompilerServices;
using SharpFuzz;

namespace Postern.Fuzz;

/// <summary>
/// <c>Postern.Fuzz TARGET|all SECONDS [SEED] [--keep]</c>: coverage-guided fuzzing of postern's parsers and sessions, in this process. SharpFuzz counts
/// the branches, the loop around it is ours. With <c>all</c> the time is shared by the targets.
/// </summary>
internal static class Program
{
    private static readonly string[] _instrumented =
    [
        "Postern.Protocol.dll", "Postern.Config.dll", "Postern.Auth.dll", "Postern.Sessions.dll", "Postern.Net.dll", "DnsClient.dll",
    ];

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
        Func<IFuzzTarget>[] targets = [.. TargetList.All.Where(target => name == "all" || target.Key == name).Select(target => target.Value)];
        if (targets.Length == 0)
        {
            Console.Error.WriteLine($"no target \"{name}\"; there are: {string.Join(' ', TargetList.All.Keys)}");
            return 2;
        }

        bool clean = true;
        foreach (Func<IFuzzTarget> create in targets)
        {
            // Targets run instrumented code from their constructors on.
            _ = new CoverageMap();
            IFuzzTarget target = create();
            var run = new FuzzRun(target, Path.GetFullPath(Path.Combine("fuzz", "corpus", target.Name)), Path.GetFullPath(Path.Combine("fuzz", "findings")));
            clean &= run.Run(TimeSpan.FromSeconds(seconds / targets.Length), seed, keep);
            (target as IDisposable)?.Dispose();
        }

        return clean ? 0 : 1;
    }
}
