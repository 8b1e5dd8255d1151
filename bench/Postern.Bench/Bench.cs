using System.Diagnostics;

namespace Postern.Bench;

/// <summary>How each figure is made.</summary>
/// <param name="generator">The clients.</param>
/// <param name="fakes">Process id of the servers behind the proxies.</param>
/// <param name="tlsSessions">TLS logins per run; plain ones are cheaper, so that it takes three times as many.</param>
internal sealed class Bench(LoadGenerator generator, int fakes, int tlsSessions)
{
    private const int Clients = 64;
    private const int WarmUpSessions = 400;
    private const int BulkSessions = 4;
    private const long BulkBytesEach = 96L << 20;
    private const long MessageBytesEach = BulkBytesEach / Dialogue.MessageLineBytes * Dialogue.MessageLineBytes;
    private const int RoundTripSessions = 32;
    private const int RoundTripsEach = 1000;
    private const int IdleSessions = 2000;

    private readonly Dictionary<(Contestant, int), LatencyRun> _latencies = [];
    private readonly Dictionary<(Contestant, LoadTarget), LoginRun> _logins = [];

    public TlsClientContext Tls13 { get; } = new(TlsKind.Tls13);

    public TlsClientContext Tls13Resumed { get; } = new(TlsKind.Tls13) { Resumes = true };

    public TlsClientContext Tls12Resumed { get; } = new(TlsKind.Tls12) { Resumes = true };

    public TlsClientContext Tls12ById { get; } = new(TlsKind.Tls12) { Resumes = true, ResumesById = true };

    /// <summary>
    /// Share of its one thread that the generator, or the fakes if it was more, used in the last measured run; 0 = none was
    /// needed.
    /// </summary>
    public double GeneratorLoad { get; private set; }

    /// <summary>A new round: nothing measured before is used again.</summary>
    public void BeginRound()
    {
        _latencies.Clear();
        _logins.Clear();
    }

    /// <summary>Measures one proxy once.</summary>
    public double Run(Measure measure, Contestant contestant)
    {
        GeneratorLoad = 0;
        return measure.Run(this, contestant);
    }

    /// <summary>Microseconds of processor time per session: connect, log in, log out.</summary>
    public double Login(Contestant contestant, LoadTarget target) => LogIn(contestant, target).CpuMicroseconds;

    /// <summary>Sessions per second, <see cref="Clients"/> at a time, in the run that <see cref="Login"/> measures.</summary>
    public double Rate(Contestant contestant, LoadTarget target) => LogIn(contestant, target).PerSecond;

    private LoginRun LogIn(Contestant contestant, LoadTarget target)
    {
        if (_logins.TryGetValue((contestant, target), out LoginRun? done))
        {
            GeneratorLoad = done.GeneratorLoad;
            return done;
        }

        WarmUp(contestant, target);
        if (target.Tls is { Resumes: true } tls)
        {
            tls.Forget();
            generator.LogInAndOut(target, 1, 1);
        }

        int sessions = target.Tls is null ? 3 * tlsSessions : tlsSessions;
        TimeSpan elapsed = default;
        double nanoseconds = Cpu(contestant.Process, () =>
        {
            long start = Stopwatch.GetTimestamp();
            generator.LogInAndOut(target, sessions, Clients);
            elapsed = Stopwatch.GetElapsedTime(start);
        });
        var run = new LoginRun(nanoseconds / 1e3 / sessions, sessions / elapsed.TotalSeconds, GeneratorLoad);
        _logins.Add((contestant, target), run);
        return run;
    }

    /// <summary>Milliseconds of processor time per GB (10⁹ bytes).</summary>
    public double BulkDown(Contestant contestant) => Bulk(contestant, TlsImap(contestant), BulkBytesEach, () => generator.Stream(BulkBytesEach));

    /// <summary>Milliseconds of processor time per GB (10⁹ bytes).</summary>
    public double BulkUp(Contestant contestant) => Bulk(contestant, TlsImap(contestant), BulkBytesEach, () => generator.Sink(BulkBytesEach));

    /// <summary>Milliseconds of processor time per GB (10⁹ bytes) of messages.</summary>
    public double Upload(Contestant contestant, bool tls) => Bulk(
        contestant,
        tls ? contestant.Target(ProxyService.SmtpTls, Tls13) : contestant.Target(ProxyService.Smtp, null),
        MessageBytesEach,
        () => generator.Upload(MessageBytesEach));

    /// <summary>Microseconds of processor time per round trip.</summary>
    public double RoundTrips(Contestant contestant)
    {
        WarmUp(contestant, TlsImap(contestant));
        generator.Hold(TlsImap(contestant), RoundTripSessions);
        double nanoseconds = Cpu(contestant.Process, () => generator.RoundTrips(RoundTripsEach));
        generator.LogOutHeld();
        return nanoseconds / 1e3 / (RoundTripSessions * RoundTripsEach);
    }

    /// <summary>KiB of proportional set size that each of many idle joined sessions adds to a fresh process.</summary>
    public double MemoryPerSession(Contestant contestant, bool tls)
    {
        LoadTarget target = tls ? TlsImap(contestant) : contestant.Plain;
        using ProxyProcess process = contestant.StartFresh(BenchSite.ManyConnections);
        AwaitGreeting(contestant);
        generator.LogInAndOut(target, 1, 1);
        Settle();
        long before = process.PssBytes();
        generator.Hold(target, IdleSessions);
        Settle();
        long after = process.PssBytes();
        generator.LogOutHeld();
        return (after - before) / 1024.0 / IdleSessions;
    }

    /// <summary>Milliseconds from connect to the tagged OK, TLS 1.3 with full handshakes.</summary>
    public double Latency(Contestant contestant, int clients, int percentile)
    {
        if (!_latencies.TryGetValue((contestant, clients), out LatencyRun? run))
        {
            WarmUp(contestant, TlsImap(contestant));
            int sessions = clients == 1 ? 40 : Math.Max(2000, clients * 10);
            long[] nanoseconds = [];
            Cpu(contestant.Process, () => nanoseconds = generator.LogInAndOut(TlsImap(contestant), sessions, clients));
            Array.Sort(nanoseconds);
            run = new LatencyRun(nanoseconds, GeneratorLoad);
            _latencies.Add((contestant, clients), run);
        }

        GeneratorLoad = run.GeneratorLoad;
        return run.Sorted[(run.Sorted.Length - 1) * percentile / 100] / 1e6;
    }

    /// <summary>Milliseconds of processor time of a new process until its first client has its greeting.</summary>
    public double StartUp(Contestant contestant)
    {
        const int Starts = 5;
        double sum = 0;
        for (int i = 0; i < Starts; i++)
        {
            using ProxyProcess process = contestant.StartFresh(BenchSite.DefaultConnections);
            AwaitGreeting(contestant);
            sum += process.CpuNanoseconds() / 1e6;
        }

        return sum / Starts;
    }

    /// <summary>KiB of proportional set size of a new process that serves nobody yet.</summary>
    public double IdleMemory(Contestant contestant)
    {
        using ProxyProcess process = contestant.StartFresh(BenchSite.DefaultConnections);
        AwaitGreeting(contestant);
        Settle();
        return process.PssBytes() / 1024.0;
    }

    private LoadTarget TlsImap(Contestant contestant) => contestant.Target(ProxyService.ImapTls, Tls13);

    private double Bulk(Contestant contestant, LoadTarget target, long bytesEach, Action run)
    {
        WarmUp(contestant, target);
        generator.Hold(target, BulkSessions);
        double nanoseconds = Cpu(contestant.Process, run);
        generator.LogOutHeld();
        return nanoseconds / 1e6 / (BulkSessions * bytesEach / 1e9);
    }

    /// <summary>Logs in by full handshakes to where the run will go, once in a process's life.</summary>
    private void WarmUp(Contestant contestant, LoadTarget target)
    {
        ProxyProcess process = contestant.Process;
        AwaitGreeting(contestant);
        if (process.WarmPorts.Add(target.Port))
        {
            generator.LogInAndOut(target with { Tls = target.Tls is null ? null : Tls13 }, WarmUpSessions, Clients);
        }
    }

    /// <summary>Processor time in nanoseconds that the proxy used while the action ran and until it was at rest.</summary>
    private double Cpu(ProxyProcess process, Action run)
    {
        long wall = Stopwatch.GetTimestamp();
        long own = Native.ThreadCpuNanoseconds();
        long behind = Native.ProcessCpuNanoseconds(fakes);
        long before = process.CpuNanoseconds();
        run();
        long busiest = Math.Max(Native.ThreadCpuNanoseconds() - own, Native.ProcessCpuNanoseconds(fakes) - behind);
        GeneratorLoad = busiest / Stopwatch.GetElapsedTime(wall).TotalNanoseconds;
        LoadGenerator.Pause(20);
        return process.CpuNanoseconds() - before;
    }

    private void AwaitGreeting(Contestant contestant) => generator.AwaitGreeting(contestant.Plain, contestant.Name);

    private static void Settle() => LoadGenerator.Pause(300);

    /// <param name="CpuMicroseconds">Of the proxy, per session.</param>
    /// <param name="PerSecond">Sessions.</param>
    /// <param name="GeneratorLoad">As <see cref="Bench.GeneratorLoad"/>.</param>
    private sealed record LoginRun(double CpuMicroseconds, double PerSecond, double GeneratorLoad);

    /// <param name="Sorted">Nanoseconds of each login, the shortest first.</param>
    /// <param name="GeneratorLoad">As <see cref="Bench.GeneratorLoad"/>.</param>
    private sealed record LatencyRun(long[] Sorted, double GeneratorLoad);
}
