using System.Diagnostics;
using System.Globalization;

namespace Postern.Bench;

/// <summary>One running proxy, all its processes together.</summary>
internal sealed class ProxyProcess : IDisposable
{
    private static readonly HashSet<ProxyProcess> _running = [];
    private readonly Process _main;
    private readonly string _name;

    private ProxyProcess(string name, Process main)
    {
        _name = name;
        _main = main;
    }

    public int Id => _main.Id;

    /// <summary>Ports where it has served enough to show its lasting behaviour.</summary>
    public HashSet<int> WarmPorts { get; } = [];

    /// <summary>Starts the proxy with the configuration; it may not accept yet.</summary>
    public static ProxyProcess Start(ProxyProgram program, string configurationFile)
    {
        var start = new ProcessStartInfo(program.Path) { RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (string argument in program.Arguments(configurationFile))
        {
            start.ArgumentList.Add(argument);
        }

        Process main = Process.Start(start) ?? throw new InvalidOperationException($"{program.Path} cannot be started");
        main.ErrorDataReceived += (_, line) => Console.Error.Write(line.Data is null ? "" : $"{program.Name}: {line.Data}\n");
        main.BeginErrorReadLine();
        var proxy = new ProxyProcess(program.Name, main);
        _running.Add(proxy);
        return proxy;
    }

    /// <summary>Stops what still runs.</summary>
    public static void StopAll()
    {
        foreach (ProxyProcess proxy in _running.ToArray())
        {
            proxy.Dispose();
        }
    }

    /// <summary>Processor time so far, in nanoseconds, of all processes and threads, ended ones included.</summary>
    public long CpuNanoseconds()
    {
        if (_main.HasExited)
        {
            throw new LoadFailedException($"{_name} has ended with exit code {_main.ExitCode}");
        }

        return Tree().Sum(Native.ProcessCpuNanoseconds);
    }

    /// <summary>Proportional set size in bytes.</summary>
    public long PssBytes() => Tree().Sum(process => MemoryBytes(process, "Pss:"));

    public void Dispose()
    {
        if (!_running.Remove(this))
        {
            return;
        }

        if (!_main.HasExited)
        {
            _ = Native.kill(_main.Id, Native.SIGTERM);
            if (!_main.WaitForExit(5000))
            {
                _main.Kill(entireProcessTree: true);
            }
        }

        _main.Dispose();
    }

    private static long MemoryBytes(int process, string field)
    {
        foreach (string line in File.ReadLines($"/proc/{process}/smaps_rollup"))
        {
            if (line.StartsWith(field, StringComparison.Ordinal))
            {
                return 1024 * long.Parse(line[field.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
            }
        }

        return 0;
    }

    private IEnumerable<int> Tree()
    {
        yield return _main.Id;
        foreach (string task in Directory.EnumerateDirectories($"/proc/{_main.Id}/task"))
        {
            foreach (string child in File.ReadAllText(task + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                yield return int.Parse(child, CultureInfo.InvariantCulture);
            }
        }
    }
}
