using System.Text.RegularExpressions;

namespace Postern.TestKit;

/// <summary>The two programs a scenario is played against.</summary>
public enum MailProxy
{
    /// <summary>Debian's nginx with its mail module, or the one <c>NGINX_BINARY</c> names: the oracle.</summary>
    Nginx,

    /// <summary>The published native binary, named by the environment variable <c>POSTERN_BINARY</c>.</summary>
    Postern,
}

/// <summary>A mail proxy running in the foreground, as one process, from a configuration file in a test's own folder.</summary>
public sealed class ProgramUnderTest : IAsyncDisposable
{
    /// <summary>What a configuration for both programs loads; postern ignores it.</summary>
    public const string NginxMailModule = "/usr/lib/nginx/modules/ngx_mail_module.so";

    private readonly RunningProcess _process;
    private readonly string _errorLog;

    private ProgramUnderTest(RunningProcess process, string errorLog)
    {
        _process = process;
        _errorLog = errorLog;
    }

    public int ProcessId => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>The error log so far, level info and above unless asked for otherwise, and behind it what went to standard error.</summary>
    public string Log => (File.Exists(_errorLog) ? ReadShared(_errorLog) : "") + _process.Output;

    /// <summary>
    /// Starts the program on <c>events { }</c> and <c>mail { }</c> blocks and waits until it listens on the port.
    /// The surrounding main directives are the same for both programs.
    /// </summary>
    /// <param name="proxy">Which program.</param>
    /// <param name="folder">Where its files go.</param>
    /// <param name="mailBlock">The whole <c>mail { }</c> block.</param>
    /// <param name="listenPort">One of the ports the block listens on.</param>
    /// <param name="workerConnections">The size of the connection table.</param>
    /// <param name="logLevel">What the error log is to have.</param>
    /// <param name="under">A program, and its arguments, that runs this one; empty = none.</param>
    /// <param name="startLimit">How long it may take to start.</param>
    /// <param name="environment">More variables for it.</param>
    /// <param name="loops"><c>worker_processes</c>; nginx, without a master, has one at any rate.</param>
    public static async Task<ProgramUnderTest> StartAsync(
        MailProxy proxy,
        TemporaryFolder folder,
        string mailBlock,
        int listenPort,
        int workerConnections = 256,
        string logLevel = "info",
        IReadOnlyList<string>? under = null,
        TimeSpan? startLimit = null,
        IReadOnlyDictionary<string, string>? environment = null,
        int loops = 1)
    {
        string errorLog = folder.File("error.log");
        string configuration = folder.Write(
            "proxy.conf",
            $$"""
            load_module {{NginxMailModule}};
            daemon off;
            master_process off;
            worker_processes {{loops}};
            pid {{folder.File("proxy.pid")}};
            error_log {{errorLog}} {{logLevel}};
            events { worker_connections {{workerConnections}}; }
            {{mailBlock}}

            """);
        string[] command = [.. under ?? [], under is null ? ExecutableOf(proxy) : CopyWithoutDebugInformation(proxy, folder), "-p", folder.Path + "/", "-e", folder.File("start.log"), "-c", configuration];
        RunningProcess process = RunningProcess.Start(command[0], command[1..], folder.Path, environment);
        try
        {
            await process.WaitForListenAsync(listenPort, startLimit);
            return new ProgramUnderTest(process, errorLog);
        }
        catch (Exception e)
        {
            await process.DisposeAsync();
            throw new InvalidOperationException($"{e.Message}\n{await File.ReadAllTextAsync(configuration)}", e);
        }
    }

    /// <summary>What the oracle says it is, for differences that came with a version.</summary>
    public static Version NginxVersion => _nginxVersion.Value;

    private static readonly Lazy<Version> _nginxVersion = new(static () =>
    {
        (int code, string output) = RunningProcess.RunAsync(ExecutableOf(MailProxy.Nginx), ["-v"]).GetAwaiter().GetResult();
        Match said = new Regex(@"nginx version: nginx/([0-9.]+)").Match(output);
        return code == 0 && said.Success ? Version.Parse(said.Groups[1].Value) : throw new InvalidOperationException($"nginx does not say its version: {output}");
    });

    /// <summary>The file to start. A postern that is not there is a failure, never a skipped test.</summary>
    public static string ExecutableOf(MailProxy proxy)
    {
        if (proxy == MailProxy.Nginx)
        {
            // test/newer-openssl.sh names one in a root folder of its own, with its modules at the usual place there.
            if (Environment.GetEnvironmentVariable("NGINX_BINARY") is { Length: > 0 } other)
            {
                return File.Exists(other) ? other : throw new InvalidOperationException($"NGINX_BINARY names \"{other}\", which does not exist.");
            }

            const string nginx = "/usr/sbin/nginx";
            return File.Exists(nginx) && File.Exists(NginxMailModule)
                ? nginx
                : throw new InvalidOperationException("nginx with its mail module is not installed; ./test.sh installs it.");
        }

        string? path = Environment.GetEnvironmentVariable("POSTERN_BINARY");
        if (string.IsNullOrEmpty(path))
        {
            throw new InvalidOperationException("POSTERN_BINARY does not name the published postern; ./test.sh publishes and names it.");
        }

        return File.Exists(path) ? Path.GetFullPath(path) : throw new InvalidOperationException($"POSTERN_BINARY names \"{path}\", which does not exist.");
    }

    /// <summary>Valgrind 3.19 ends when it meets the debug information that lies beside the published program.</summary>
    public static string CopyWithoutDebugInformation(MailProxy proxy, TemporaryFolder folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        string copy = folder.File(Path.GetFileName(ExecutableOf(proxy)));
        File.Copy(ExecutableOf(proxy), copy);
        return copy;
    }

    /// <summary>Sends a signal by its number.</summary>
    public void Signal(int number) => _process.Signal(number);

    /// <summary>Waits until the program has ended.</summary>
    public Task WaitForExitAsync(TimeSpan limit) => _process.WaitForExitAsync(limit);

    public int ExitCode => _process.ExitCode;

    public async ValueTask DisposeAsync() => await _process.DisposeAsync();

    private static string ReadShared(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
        return reader.ReadToEnd();
    }
}
