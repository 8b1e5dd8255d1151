using System.Diagnostics;

namespace Postern.Bench;

/// <summary>Holds many idle TLS sessions through postern while other clients log in and out, and watches its memory.</summary>
internal sealed class IdleRun(BenchOptions options, BenchSite site)
{
    /// <summary>Addresses the clients come from, and backends they are sent to: no pair runs out of ports.</summary>
    public const int Hosts = 16;

    /// <summary>Memory may grow by so much from the first interval's end to the last's.</summary>
    private const double FlatWithin = 1.02;

    private static readonly TimeSpan _interval = TimeSpan.FromSeconds(30);

    private readonly List<string> _failures = [];
    private int _lost;
    private int _failedLogins;

    /// <returns>The exit status.</returns>
    public int Run()
    {
        MailBlockProgram program = MailBlockProgram.Postern(options.Postern, site.Folder);
        Console.WriteLine($"{program.Version()}, {Machine.Describe()}: {options.Hold} idle TLS sessions, {options.Rate} logins/s, {options.Minutes} min");
        using var generator = new LoadGenerator();
        using var postern = new Contestant(program, site);
        LoadTarget target = postern.Target(ProxyService.ImapTls, new TlsClientContext(TlsKind.Tls13));
        using ProxyProcess process = postern.StartFresh(IdleParts.Descriptors(options.Hold));
        generator.AwaitGreeting(postern.Plain, postern.Name);
        long start = Stopwatch.GetTimestamp();
        generator.Hold(target, options.Hold, Hosts);
        Console.WriteLine($"opened in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
        generator.OnFailed = OnFailed;
        Console.WriteLine("| s | PSS, MB | postern CPU, % | held | lost | logins | failed | p50, ms | p99, ms | max, ms |");
        Console.WriteLine("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        List<long> all = [];
        List<long> memory = [];
        int intervals = Math.Max(1, (int)(TimeSpan.FromMinutes(options.Minutes) / _interval));
        for (int i = 1; i <= intervals; i++)
        {
            List<long> latencies = [];
            long cpu = process.CpuNanoseconds();
            long begun = Stopwatch.GetTimestamp();
            _failedLogins += generator.LogInSteadily(target, Hosts, options.Rate, _interval, latencies);
            double share = (process.CpuNanoseconds() - cpu) / Stopwatch.GetElapsedTime(begun).TotalNanoseconds;
            memory.Add(process.PssBytes());
            all.AddRange(latencies);
            Show($"{i * (int)_interval.TotalSeconds}", memory[^1], share, generator.HeldCount, latencies);
        }

        // An idle session may be dead without anybody having noticed.
        generator.RoundTrips(1);
        double growth = (double)memory[^1] / memory[0];
        Show("all", memory[^1], 0, generator.HeldCount, all);
        bool good = _lost == 0 && _failedLogins == 0 && generator.HeldCount == options.Hold && growth <= FlatWithin;
        Console.WriteLine(
            $"{_lost} sessions lost, {_failedLogins} logins failed, every held session answered NOOP at the end; memory at the end is {growth:0.000} of that after the first interval: {(good ? "good" : "not good")}");
        _failures.ForEach(Console.WriteLine);
        return good ? 0 : 1;
    }

    private void OnFailed(LoadClient client, LoadFailedException failure)
    {
        const int MostShown = 20;
        if (client.IsHeld)
        {
            _lost++;
        }
        else
        {
            _failedLogins++;
        }

        if (_failures.Count < MostShown)
        {
            _failures.Add($"{(client.IsHeld ? "held session" : "login")}: {failure.Message}");
        }
    }

    private void Show(string when, long memory, double share, int held, List<long> latencies)
    {
        latencies.Sort();
        double At(int percent) => latencies.Count == 0 ? 0 : latencies[(latencies.Count - 1) * percent / 100] / 1e6;
        string used = share > 0 ? $"{share * 100:0.0}" : "";
        Console.WriteLine(
            $"| {when} | {memory / 1e6:0.0} | {used} | {held} | {_lost} | {latencies.Count} | {_failedLogins} | {At(50):0.00} | {At(99):0.00} | {At(100):0.0} |");
    }
}
