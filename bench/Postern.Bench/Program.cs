using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Bench;

const int NoResult = 2;

if (args is ["fakes"])
{
    var fakes = new FakeServers();
    Console.WriteLine(fakes.AuthPort);
    fakes.Run();
}

BenchOptions options;
try
{
    options = BenchOptions.Parse(args);
}
catch (FormatException e)
{
    Console.Error.WriteLine(e.Message);
    return NoResult;
}

string folder = Directory.CreateTempSubdirectory("postern-bench").FullName;
using Process fakeProcess = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, "fakes") { RedirectStandardOutput = true })!;

// Ended by a signal: nothing that was started stays behind.
using PosixSignalRegistration term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => CleanUp());
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => CleanUp());
try
{
    int authPort = int.Parse(fakeProcess.StandardOutput.ReadLine() ?? "", CultureInfo.InvariantCulture);
    BenchCertificates.Write(folder);
    return Run(options, folder, new ProxyConfiguration(folder, authPort, options.LogLevel));
}
catch (LoadFailedException e)
{
    Console.Error.WriteLine($"no result: {e.Message}");
    return NoResult;
}
finally
{
    CleanUp();
}

void CleanUp()
{
    ProxyProcess.StopAll();
    if (Directory.Exists(folder))
    {
        fakeProcess.Kill();
        Directory.Delete(folder, recursive: true);
    }
}

static int Run(BenchOptions options, string folder, ProxyConfiguration configuration)
{
    ProxyProgram posternProgram = ProxyProgram.Postern(options.Postern, folder);
    ProxyProgram peerProgram = ProxyProgram.Nginx(options.Peer, folder);
    Console.WriteLine($"{posternProgram.Version()} against {peerProgram.Version()}, {Machine.Describe()}");
    using var generator = new LoadGenerator();
    using var postern = new Contestant(posternProgram, configuration);
    using var peer = new Contestant(peerProgram, configuration);
    var bench = new Bench(generator, options.Sessions);
    List<MeasureResult> results = [.. Measure.All.Where(options.Wants).Select(measure => new MeasureResult(measure))];
    for (int round = 1; round <= options.Rounds; round++)
    {
        bench.BeginRound();
        foreach (MeasureResult result in results)
        {
            Console.Error.WriteLine($"round {round} of {options.Rounds}: {result.Measure.Title}");
            Take(bench, result, postern, peer);
        }
    }

    Console.WriteLine();
    Console.Write(Report.Table(results));
    if (options.Json is { } file)
    {
        File.WriteAllText(file, Report.Json(results));
    }

    return results.TrueForAll(result => result.GoalHolds) ? 0 : 1;
}

static void Take(Bench bench, MeasureResult result, Contestant postern, Contestant peer)
{
    if (result.Measure.NeedsFreshProcesses)
    {
        postern.Stop();
        peer.Stop();
    }

    result.Postern.Add(result.Measure.Run(bench, postern));
    result.GeneratorLoad = Math.Max(result.GeneratorLoad, bench.GeneratorLoad);
    result.Peer.Add(result.Measure.Run(bench, peer));
    result.GeneratorLoad = Math.Max(result.GeneratorLoad, bench.GeneratorLoad);
}
