using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;

namespace Postern.Fuzz;

/// <summary>Feeds one target for a while; inputs that reach new code become the ancestors of further ones.</summary>
/// <param name="target">Who reads.</param>
/// <param name="corpusFolder">Files to begin with; what is found goes there if asked for.</param>
/// <param name="findingsFolder">Where an input goes that the target did not bear.</param>
internal sealed class FuzzRun(IFuzzTarget target, string corpusFolder, string findingsFolder)
{
    /// <summary>One input of some hundred bytes takes microseconds; so much processor time for it is a loop without an end.</summary>
    private static readonly TimeSpan _hang = TimeSpan.FromSeconds(5);

    /// <summary>The machine may be busy with others, or the process stopped: an input that merely waits gets this long.</summary>
    private static readonly TimeSpan _stall = TimeSpan.FromMinutes(2);

    private CoverageMap _coverage = new();
    private readonly List<byte[]> _corpus = [];
    private volatile byte[]? _running;
    private byte[]? _watched;
    private TimeSpan _watchedFromProcessor;
    private long _watchedFrom;

    /// <param name="time">How long; the corpus is read in any case.</param>
    /// <param name="seed">Of the mutations.</param>
    /// <param name="keep">Whether inputs that reach what the corpus does not are written to it.</param>
    /// <returns>True if nothing was found.</returns>
    public bool Run(TimeSpan time, int seed, bool keep)
    {
        string[] files = Directory.Exists(corpusFolder) ? Directory.GetFiles(corpusFolder) : [];
        if (files.Length == 0)
        {
            Console.Error.WriteLine($"{target.Name}: no corpus in {corpusFolder}");
            return false;
        }

        using var watchdog = new Timer(_ => LookForHang(), null, _hang, _hang);
        Array.Sort(files, StringComparer.Ordinal);
        foreach (string file in files)
        {
            byte[] input = File.ReadAllBytes(file);
            _corpus.Add(input);
            if (!Try(input))
            {
                return false;
            }

            _ = _coverage.TakeNew();
        }

        int edgesOfCorpus = _coverage.Edges;
        long runs = files.Length;
        TimeSpan processor = Environment.CpuUsage.TotalTime;
        var mutator = new Mutator(target, seed);
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < time)
        {
            byte[] input = mutator.Next(_corpus);
            runs++;
            if (!Try(input))
            {
                return false;
            }

            if (_coverage.TakeNew())
            {
                _corpus.Add(input);
            }
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{target.Name}: {runs} executions, {edgesOfCorpus} edges by the corpus, {_coverage.Edges} in all, {_corpus.Count} inputs, {(Environment.CpuUsage.TotalTime - processor).TotalSeconds:F0} s of processor time, seed {seed}"));

        if (keep)
        {
            Keep(files.Length);
        }

        _running = null;

        // Without any edge the assemblies are not instrumented, and nothing was guided.
        return edgesOfCorpus > 0;
    }

    /// <summary>Writes the shortest inputs that reach, together, every edge the files do not.</summary>
    private void Keep(int files)
    {
        _coverage = new CoverageMap();
        foreach ((byte[] input, bool isFile) in _corpus.Select((input, i) => (input, i < files)).OrderByDescending(one => one.Item2).ThenBy(one => one.input.Length))
        {
            int before = _coverage.Edges;
            _ = Try(input);
            _ = _coverage.TakeNew();
            if (!isFile && _coverage.Edges > before)
            {
                File.WriteAllBytes(Path.Combine(corpusFolder, NameOf(input)), input);
            }
        }
    }

    private bool Try(byte[] input)
    {
        _coverage.Clear();
        try
        {
            _running = input;
            target.Run(input);
        }
#pragma warning disable CA1031 // Whatever it is, it is what we look for.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Report(input, e.ToString());
            return false;
        }

        return true;
    }

    /// <summary>Looks whether the same input is being read as the last time.</summary>
    private void LookForHang()
    {
        byte[]? running = _running;
        TimeSpan processor = Environment.CpuUsage.TotalTime;
        if (running is null || !ReferenceEquals(running, _watched))
        {
            (_watched, _watchedFromProcessor, _watchedFrom) = (running, processor, Stopwatch.GetTimestamp());
            return;
        }

        if (processor - _watchedFromProcessor < _hang && Stopwatch.GetElapsedTime(_watchedFrom) < _stall)
        {
            return;
        }

        Report(running, "does not come to an end");
        Environment.Exit(1);
    }

    private void Report(byte[] input, string what)
    {
        Directory.CreateDirectory(findingsFolder);
        string file = Path.Combine(findingsFolder, $"{target.Name}-{NameOf(input)}");
        File.WriteAllBytes(file, input);
        Console.Error.WriteLine($"{target.Name}: {file}: {what}");
    }

    private static string NameOf(byte[] input) => Convert.ToHexStringLower(SHA256.HashData(input).AsSpan(0, 8));
}
