using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Postern.TestKit;

/// <summary>A program started by a test, known and stopped by its process id; its output is kept.</summary>
public sealed class RunningProcess : IAsyncDisposable
{
    private const int SigTerm = 15;
    private static readonly TimeSpan _stopLimit = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private RunningProcess(Process process)
    {
        _process = process;
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>What it wrote to standard output and standard error so far.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Starts a program; a missing one is an error that names it, because a missing peer fails the test.</summary>
    public static RunningProcess Start(
        string program,
        IEnumerable<string> arguments,
        string? workingFolder = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var info = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = workingFolder ?? "",
        };
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>())
        {
            info.Environment[name] = value;
        }

        var process = new Process { StartInfo = info };
        var running = new RunningProcess(process);
        process.OutputDataReceived += running.Keep;
        process.ErrorDataReceived += running.Keep;
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException($"\"{program}\" cannot be started: {e.Message}. ./test.sh installs what the tests need.", e);
        }

        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return running;
    }

    /// <summary>Runs a program to its end and returns its exit code and output.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(
        string program,
        IEnumerable<string> arguments,
        TimeSpan? limit = null,
        string? workingFolder = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        await using RunningProcess running = Start(program, arguments, workingFolder, environment);
        await running.WaitForExitAsync(limit ?? Deadline.Step);
        return (running.ExitCode, running.Output);
    }

    public async Task WaitForExitAsync(TimeSpan limit)
    {
        await Deadline.WithinAsync<bool>(
            async stop =>
            {
                await _process.WaitForExitAsync(stop);
                return true;
            },
            $"the end of {_process.StartInfo.FileName}; its output was: {Output}",
            limit);
    }

    /// <summary>Waits until the program listens on the port. Fails at once if it ended instead.</summary>
    public Task WaitForListenAsync(int port, TimeSpan? limit = null) => Deadline.UntilAsync(
        () => HasExited
            ? throw new InvalidOperationException($"{_process.StartInfo.FileName} ended with {ExitCode} instead of listening: {Output}")
            : LoopbackPorts.IsListening(port),
        () => $"{_process.StartInfo.FileName} does not listen on port {port}: {Output}",
        limit);

    /// <summary>Sends a signal by number.</summary>
    public void Signal(int number)
    {
        if (!HasExited)
        {
            _ = Kill(Id, number);
        }
    }

    /// <summary>Asks it to end (SIGTERM), and makes it end when it does not.</summary>
    public async Task StopAsync()
    {
        Signal(SigTerm);
        try
        {
            await WaitForExitAsync(_stopLimit);
        }
        catch (TimeoutException)
        {
            _process.Kill(entireProcessTree: true);
            await WaitForExitAsync(_stopLimit);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _process.Dispose();
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is not null)
        {
            lock (_output)
            {
                _output.AppendLine(line.Data);
            }
        }
    }

    [DllImport("libc.so.6", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int processId, int signal);
}
