namespace Postern.Bench;

/// <summary>The figures of one measure: one of each proxy per round.</summary>
internal sealed class MeasureResult(Measure measure)
{
    public Measure Measure => measure;

    public List<double> Postern { get; } = [];

    public List<double> Peer { get; } = [];

    /// <summary>Round by round: what the machine does in a round, it does to both.</summary>
    public IEnumerable<double> Ratios => Postern.Zip(Peer, (postern, peer) => postern / peer);

    /// <summary>Most of its one thread that the load generator used in a run.</summary>
    public double GeneratorLoad { get; set; }

    public bool GoalHolds => measure.Goal is not { } goal || Median(Ratios) <= goal;

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
