using System.Diagnostics;

namespace Postern.Bench;

/// <summary>How each figure is made.</summary>
/// <param name="generator">The clients.</param>
/// <param name="tlsSessions">TLS logins per run; plain ones are cheaper, so that it takes three times as many.</param>
internal sealed class Bench(LoadGenerator generator, int tlsSessions)
{
    private const int Clients = 64;
    private const int WarmUpSessions = 400;
    private const int BulkSessions = 4;
    private const long BulkBytesEach = 96L << 20;
    private const int RoundTripSessions = 32;
    private const int RoundTripsEach = 1000;
    private const int IdleSessions = 2000;

    private readonly Dictionary<(Contestant, int), long[]> _latencies = [];

    public TlsClientContext Tls13 { get; } = new(TlsKind.Tls13);

    public TlsClientContext Tls13Resumed { get; } = new(TlsKind.Tls13) { Resumes = true };

    public TlsClientContext Tls12Resumed { get; } = new(TlsKind.Tls12) { Resumes = true };

    /// <summary>Share of the generator's one thread that the last measured run used.</summary>
    public double GeneratorLoad { get; private set; }

    /// <summary>A new round: nothing measured before is used again.</summary>
    public void BeginRound() => _latencies.Clear();

    /// <summary>Microseconds of processor time per session: connect, log in, log out.</summary>
    public double Login(Contestant contestant, LoadTarget target)
    {
        WarmUp(contestant);
        if (target.Tls is { Resumes: true } tls)
        {
            tls.Forget();
            generator.LogInAndOut(target, 1, 1);
        }

        int sessions = target.Tls is null ? 3 * tlsSessions : tlsSessions;
        return Cpu(contestant.Process, () => generator.LogInAndOut(target, sessions, Clients)) / 1e3 / sessions;
    }

    /// <summary>Milliseconds of processor time per GB (10⁹ bytes).</summary>
    public double BulkDown(Contestant contestant) => Bulk(contestant, () => generator.Stream(BulkBytesEach));

    /// <summary>Milliseconds of processor time per GB (10⁹ bytes).</summary>
    public double BulkUp(Contestant contestant) => Bulk(contestant, () => generator.Sink(BulkBytesEach));

    /// <summary>Microseconds of processor time per round trip.</summary>
    public double RoundTrips(Contestant contestant)
    {
        WarmUp(contestant);
        generator.Hold(contestant.TlsEcdsa(Tls13), RoundTripSessions);
        double nanoseconds = Cpu(contestant.Process, () => generator.RoundTrips(RoundTripsEach));
        generator.LogOutHeld();
        return nanoseconds / 1e3 / (RoundTripSessions * RoundTripsEach);
    }

    /// <summary>KiB of proportional set size that each of many idle joined sessions adds to a fresh process.</summary>
    public double MemoryPerSession(Contestant contestant, bool tls)
    {
        LoadTarget target = tls ? contestant.TlsEcdsa(Tls13) : contestant.Plain;
        using ProxyProcess process = contestant.StartFresh(ProxyConfiguration.ManyConnections);
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
        if (!_latencies.TryGetValue((contestant, clients), out long[]? sorted))
        {
            WarmUp(contestant);
            int sessions = clients == 1 ? 40 : Math.Max(2000, clients * 10);
            Cpu(contestant.Process, () => sorted = generator.LogInAndOut(contestant.TlsEcdsa(Tls13), sessions, clients));
            Array.Sort(sorted!);
            _latencies.Add((contestant, clients), sorted!);
        }

        return sorted![(sorted.Length - 1) * percentile / 100] / 1e6;
    }

    /// <summary>Milliseconds of processor time of a new process until its first client has its greeting.</summary>
    public double StartUp(Contestant contestant)
    {
        const int Starts = 5;
        double sum = 0;
        for (int i = 0; i < Starts; i++)
        {
            using ProxyProcess process = contestant.StartFresh(ProxyConfiguration.DefaultConnections);
            AwaitGreeting(contestant);
            sum += process.CpuNanoseconds() / 1e6;
        }

        return sum / Starts;
    }

    /// <summary>KiB of proportional set size of a new process that serves nobody yet.</summary>
    public double IdleMemory(Contestant contestant)
    {
        using ProxyProcess process = contestant.StartFresh(ProxyConfiguration.DefaultConnections);
        AwaitGreeting(contestant);
        Settle();
        return process.PssBytes() / 1024.0;
    }

    private double Bulk(Contestant contestant, Action run)
    {
        WarmUp(contestant);
        generator.Hold(contestant.TlsEcdsa(Tls13), BulkSessions);
        double nanoseconds = Cpu(contestant.Process, run);
        generator.LogOutHeld();
        return nanoseconds / 1e6 / (BulkSessions * BulkBytesEach / 1e9);
    }

    private void WarmUp(Contestant contestant)
    {
        ProxyProcess process = contestant.Process;
        AwaitGreeting(contestant);
        if (process.IsWarm)
        {
            return;
        }

        process.IsWarm = true;
        generator.LogInAndOut(contestant.TlsEcdsa(Tls13), WarmUpSessions, Clients);
        generator.LogInAndOut(contestant.Plain, WarmUpSessions, Clients);
    }

    /// <summary>Processor time in nanoseconds that the proxy used while the action ran and until it was at rest.</summary>
    private double Cpu(ProxyProcess process, Action run)
    {
        long wall = Stopwatch.GetTimestamp();
        long own = Native.ThreadCpuNanoseconds();
        long before = process.CpuNanoseconds();
        run();
        GeneratorLoad = (Native.ThreadCpuNanoseconds() - own) / Stopwatch.GetElapsedTime(wall).TotalNanoseconds;
        Pause(20);
        return process.CpuNanoseconds() - before;
    }

    /// <summary>Waits until the proxy accepts and has greeted one client.</summary>
    private void AwaitGreeting(Contestant contestant)
    {
        const int Tries = 20_000;
        for (int i = 0; i < Tries; i++)
        {
            if (generator.TryGreeting(contestant.Plain))
            {
                return;
            }

            Pause(1);
        }

        throw new LoadFailedException($"{contestant.Name} does not accept clients");
    }

    private static void Settle() => Pause(300);

    private static void Pause(int milliseconds)
    {
        using var never = new ManualResetEventSlim();
        never.Wait(milliseconds);
    }
}
