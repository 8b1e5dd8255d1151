using System.Globalization;

namespace Postern.Soak;

/// <summary>
/// <c>Postern.Soak MINUTES [SEED]</c>: mixed load on the published program, named by <c>POSTERN_BINARY</c>, with faults injected at random.
/// What each actor does follows from the seed; exit code 1 if anything happened that was not injected.
/// </summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        if (arguments.Length is < 1 or > 2 || !double.TryParse(arguments[0], CultureInfo.InvariantCulture, out double minutes) || minutes <= 0)
        {
            await Console.Error.WriteLineAsync("usage: Postern.Soak MINUTES [SEED]");
            return 2;
        }

        int seed = Environment.TickCount & int.MaxValue;
        if (arguments.Length == 2 && !int.TryParse(arguments[1], CultureInfo.InvariantCulture, out seed))
        {
            await Console.Error.WriteLineAsync("usage: Postern.Soak MINUTES [SEED]");
            return 2;
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"soak: {minutes} minutes, seed {seed}"));
        return await new SoakRun(seed).RunAsync(TimeSpan.FromMinutes(minutes)) ? 0 : 1;
    }
}
