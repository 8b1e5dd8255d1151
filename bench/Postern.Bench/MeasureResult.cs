namespace Postern.Bench;

/// <summary>The figures of one measure: one of each proxy per round.</summary>
/// <param name="measure">What was measured.</param>
/// <param name="contestants">Names of those that can do it, postern first and what it is compared with second.</param>
internal sealed class MeasureResult(Measure measure, IEnumerable<string> contestants)
{
    private readonly Dictionary<string, List<double>> _figures = contestants.ToDictionary(name => name, _ => new List<double>());

    public Measure Measure => measure;

    /// <summary>Most of its one thread that the load generator used in a run.</summary>
    public double GeneratorLoad { get; private set; }

    /// <summary>Names of the proxies measured.</summary>
    public IReadOnlyCollection<string> Names => _figures.Keys;

    public bool GoalHolds(string peer) => measure.Goal is not { } goal || Median(Ratios(peer)) <= goal;

    /// <summary>One figure per round; null = it cannot do it.</summary>
    public IReadOnlyList<double>? Figures(string name) => _figures.GetValueOrDefault(name);

    /// <summary>postern's figures by another's, round by round: what the machine does in a round, it does to all.</summary>
    public IEnumerable<double> Ratios(string peer) => _figures["postern"].Zip(_figures[peer], (postern, other) => postern / other);

    public void Add(string name, double figure, double generatorLoad)
    {
        _figures[name].Add(figure);
        GeneratorLoad = Math.Max(GeneratorLoad, generatorLoad);
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
