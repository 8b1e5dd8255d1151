using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Bench;

const int NoResult = 2;

if (args is ["fakes", string hosts])
{
    // Whatever becomes of the one who started them.
    _ = Native.Check(Native.prctl(Native.PR_SET_PDEATHSIG, Native.SIGKILL), "prctl()");
    var fakes = new FakeServers(int.Parse(hosts, CultureInfo.InvariantCulture));
    Console.WriteLine(fakes.Ports);
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

// Whoever has too few descriptors says so by itself.
_ = Native.AllowDescriptors(2 * BenchSite.ManyConnections);
if (options.Hold > 0 && IdleParts.Needed(options) is > 1 and int parts)
{
    return IdleParts.Run(options, parts);
}

string folder = Directory.CreateTempSubdirectory("postern-bench").FullName;
string fakeHosts = options.Hold > 0 ? IdleRun.Hosts.ToString(CultureInfo.InvariantCulture) : "0";
using Process fakeProcess = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["fakes", fakeHosts]) { RedirectStandardOutput = true })!;

// Ended by a signal: nothing that was started stays behind.
using PosixSignalRegistration term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => CleanUp());
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => CleanUp());
try
{
    BenchCertificates.Write(folder);
    var site = new BenchSite(folder, FakePorts.Parse(fakeProcess.StandardOutput.ReadLine() ?? ""), options.LogLevel ?? "error");
    return options.Hold > 0 ? new IdleRun(options, site).Run() : new Competition(options, site, fakeProcess.Id).Run();
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
