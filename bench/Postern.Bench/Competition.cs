namespace Postern.Bench;

/// <summary>Measures postern, nginx and, where asked for, others, and prints the table.</summary>
/// <param name="options">The command line.</param>
/// <param name="site">What all have in common.</param>
/// <param name="fakes">Process id of the servers behind them.</param>
internal sealed class Competition(BenchOptions options, BenchSite site, int fakes)
{
    private const string SecondLevel = "info";

    private readonly MailBlockProgram _postern = MailBlockProgram.Postern(options.Postern, site.Folder);
    private readonly MailBlockProgram _peer = MailBlockProgram.Nginx(options.Peer, site.Folder);
    private readonly List<ProxyProgram> _others = options.All
        ? [new HaProxyProgram("/usr/sbin/haproxy", site.Folder), new DovecotProgram("/usr/sbin/dovecot")]
        : [];

    /// <returns>The exit status.</returns>
    public int Run()
    {
        IEnumerable<ProxyProgram> peers = [_peer, .. _others];
        Console.WriteLine($"{_postern.Version()} against {string.Join(", ", peers.Select(program => program.Version()))}, {Machine.Describe()}");
        using var generator = new LoadGenerator();
        var bench = new Bench(generator, fakes, options.Sessions);
        List<(string LogLevel, IReadOnlyList<MeasureResult> Results)> tables =
            [(site.LogLevel, Compete(bench, site, [_postern, _peer, .. _others], Measure.All.Where(options.Wants)))];
        Show(site.LogLevel, tables[0].Results, _others);
        if (options.LogLevel is null && options.Only.Count == 0)
        {
            tables.Add((SecondLevel, Compete(bench, site with { LogLevel = SecondLevel }, [_postern, _peer], Measure.AtInfo)));
            Show(SecondLevel, tables[1].Results, []);
        }

        if (options.Json is { } file)
        {
            File.WriteAllText(file, new Report(_peer.Name, []).Json(tables));
        }

        return tables.TrueForAll(table => table.Results.All(result => result.GoalHolds(_peer.Name))) ? 0 : 1;
    }

    private void Show(string logLevel, IReadOnlyList<MeasureResult> results, IEnumerable<ProxyProgram> others)
    {
        Console.WriteLine($"\nerror_log at {logLevel}, median of {options.Rounds}:\n");
        Console.Write(new Report(_peer.Name, [.. others.Select(program => program.Name)]).Table(results));
    }

    /// <summary>All rounds; each measure by all proxies in turn.</summary>
    private List<MeasureResult> Compete(Bench bench, BenchSite at, IEnumerable<ProxyProgram> programs, IEnumerable<Measure> measures)
    {
        List<Contestant> contestants = [.. programs.Select(program => new Contestant(program, at))];
        List<MeasureResult> results =
            [.. measures.Select(measure => new MeasureResult(measure, contestants.Where(each => each.Can(measure)).Select(each => each.Name)))];
        try
        {
            for (int round = 1; round <= options.Rounds; round++)
            {
                bench.BeginRound();
                foreach (MeasureResult result in results)
                {
                    Console.Error.WriteLine($"round {round} of {options.Rounds}: {result.Measure.Title}");
                    Take(bench, result, contestants);
                }
            }
        }
        finally
        {
            contestants.ForEach(each => each.Dispose());
        }

        return results;
    }

    private static void Take(Bench bench, MeasureResult result, List<Contestant> contestants)
    {
        if (result.Measure.NeedsFreshProcesses)
        {
            contestants.ForEach(each => each.Stop());
        }

        foreach (Contestant each in contestants.Where(each => each.Can(result.Measure)))
        {
            double figure;
            try
            {
                figure = bench.Run(result.Measure, each);
            }
            catch (LoadFailedException failure)
            {
                throw new LoadFailedException($"{each.Name}, {result.Measure.Title}: {failure.Message}", failure);
            }

            result.Add(each.Name, figure, bench.GeneratorLoad);
        }
    }
}
