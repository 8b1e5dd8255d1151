using System.Globalization;
using System.Text.RegularExpressions;
using Postern.TestKit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>
/// The published program under valgrind's callgrind, which counts the instructions it executes: the same on every machine and at every
/// load, unlike time.
/// </summary>
internal sealed partial class CountedPostern : IAsyncDisposable
{
    /// <summary>It runs some fifty times slower.</summary>
    private static readonly TimeSpan _startLimit = TimeSpan.FromSeconds(120);

    private readonly TemporaryFolder _folder;
    private readonly ProgramUnderTest _program;
    private int _dumps;

    private CountedPostern(TemporaryFolder folder, ProgramUnderTest program)
    {
        (_folder, _program) = (folder, program);
    }

    public string Log => _program.Log;

    /// <param name="mailBlock">The whole <c>mail { }</c> block.</param>
    /// <param name="listenPort">One of the ports it listens on.</param>
    public static async Task<CountedPostern> StartAsync(string mailBlock, int listenPort)
    {
        var folder = new TemporaryFolder();
        try
        {
            ProgramUnderTest program = await ProgramUnderTest.StartAsync(
                MailProxy.Postern, folder, mailBlock, listenPort, under: Callgrind(folder), startLimit: _startLimit);
            return new CountedPostern(folder, program);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Instructions of a <c>postern -t</c> on a configuration.</summary>
    public static async Task<long> CountTestAsync(string configuration)
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("postern.conf", configuration);
        (_, string output) = await RunningProcess.RunAsync(
            "valgrind", [.. Callgrind(folder).Skip(1), ProgramUnderTest.CopyWithoutDebugInformation(MailProxy.Postern, folder), "-t", "-e", folder.File("start.log"), "-c", file], _startLimit);
        Match count = Collected().Match(output);
        return count.Success ? Number(count) : throw new InvalidOperationException(output);
    }

    /// <summary>Instructions since the last call. What they were spent on is the caller's care.</summary>
    public async Task<long> CountAsync()
    {
        // Signalling by vgdb wakes it from its sleep in epoll_wait and costs it nothing else.
        (int code, string output) = await RunningProcess.RunAsync(
            "vgdb", [string.Create(CultureInfo.InvariantCulture, $"--pid={_program.ProcessId}"), "dump"], TimeSpan.FromSeconds(30));
        string file = _folder.File(string.Create(CultureInfo.InvariantCulture, $"callgrind.{++_dumps}"));
        return code == 0 && Total().Match(await File.ReadAllTextAsync(file)) is { Success: true } count
            ? Number(count)
            : throw new InvalidOperationException($"{output}\n{Log}");
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        _folder.Dispose();
    }

    private static string[] Callgrind(TemporaryFolder folder) =>
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + folder.File("callgrind")];

    private static long Number(Match match) =>
        long.Parse(match.Groups[1].Value.Replace(",", "", StringComparison.Ordinal), NumberStyles.None, CultureInfo.InvariantCulture);

    [GeneratedRegex("^totals: ([0-9]+)", RegexOptions.Multiline)]
    private static partial Regex Total();

    [GeneratedRegex("Collected : ([0-9,]+)")]
    private static partial Regex Collected();
}
