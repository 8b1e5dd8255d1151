using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Postern.TestKit;

namespace Postern.EndToEndTests.Life;

/// <summary>postern, or nginx, as an administrator runs it, with a master or without, detached or not, with ports for all protocols.</summary>
internal sealed class MailService : IAsyncDisposable
{
    public const int Hup = 1;
    public const int Quit = 3;
    public const int Kill = 9;
    public const int Usr1 = 10;
    public const int Usr2 = 12;
    public const int Term = 15;
    public const int Continue = 18;
    public const int Stop = 19;
    public const int Winch = 28;

    private readonly EchoBackends _backends;
    private readonly string _main;
    private readonly MailProxy _proxy;
    private readonly int _workerConnections;
    private readonly HashSet<int> _started = [];
    private RunningProcess? _process;

    private MailService(EchoBackends backends, string main, MailProxy proxy, int workerConnections)
    {
        _workerConnections = workerConnections;
        _backends = backends;
        _main = main;
        _proxy = proxy;
        Certificate = TestCertificate.WriteEcdsa(Folder);

        // The worker's user must be able to come by; the key is for root only.
        File.SetUnixFileMode(Folder.Path, (UnixFileMode)0b111_101_101);
        File.SetUnixFileMode(Certificate.KeyFile, UnixFileMode.UserRead);
    }

    public TemporaryFolder Folder { get; } = new();

    public TestCertificate Certificate { get; }

    public int Imap { get; } = LoopbackPorts.Next();

    public int Imaps { get; } = LoopbackPorts.Next();

    public int Pop3 { get; } = LoopbackPorts.Next();

    public int Smtp { get; } = LoopbackPorts.Next();

    public string LogFile => Folder.File("error.log");

    public string PidFile => Folder.File("postern.pid");

    /// <summary>What the log and standard error say so far, older logs included.</summary>
    public string Log => string.Concat(Directory.GetFiles(Folder.Path, "error.log*").Order().Select(Read)) + _process?.Output;

    /// <summary>The process in charge, by the pid file.</summary>
    public int Master => int.Parse(File.ReadAllText(PidFile), CultureInfo.InvariantCulture);

    /// <summary>Whether the pid file names a process, and another one than before.</summary>
    public bool IsTakenOverFrom(int old)
    {
        try
        {
            return int.TryParse(File.ReadAllText(PidFile).TrimEnd(), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) && pid != old;
        }
        catch (IOException)
        {
            // It is being renamed, or not written yet.
            return false;
        }
    }

    /// <summary>Starts it and waits until it serves.</summary>
    /// <param name="backends">Whom clients are joined to.</param>
    /// <param name="main">More directives outside all blocks; <c>daemon off;</c> among them keeps it in the foreground.</param>
    /// <param name="environment">More variables for it.</param>
    /// <param name="proxy">Which program.</param>
    /// <param name="workerConnections">For each of its two loops.</param>
    public static async Task<MailService> StartAsync(
        EchoBackends backends,
        string main = "",
        IReadOnlyDictionary<string, string>? environment = null,
        MailProxy proxy = MailProxy.Postern,
        int workerConnections = 4096)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new InvalidOperationException("These tests start a master, which is for the superuser only: run ./test.sh as root.");
        }

        var service = new MailService(backends, main, proxy, workerConnections);
        try
        {
            service.Configure();
            if (main.Contains("daemon off", StringComparison.Ordinal))
            {
                service._process = service.Start(environment);
                await service._process.WaitForListenAsync(service.Imap);
            }
            else
            {
                (int code, string output) = await service.RunAsync();
                if (code != 0)
                {
                    throw new InvalidOperationException($"it ended with {code}: {output}");
                }
            }

            await Deadline.UntilAsync(() => File.Exists(service.PidFile) && File.ReadAllText(service.PidFile).EndsWith('\n'), () => "no pid file: " + service.Log);
            _ = service.Remember();
            return service;
        }
        catch
        {
            await service.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs the command once more, in the foreground of this test.</summary>
    public Task<(int ExitCode, string Output)> RunAsync(params string[] more) => RunningProcess.RunAsync(
        ProgramUnderTest.ExecutableOf(_proxy), [.. Arguments, .. more], workingFolder: Folder.Path);

    private RunningProcess Start(IReadOnlyDictionary<string, string>? environment) =>
        RunningProcess.Start(ProgramUnderTest.ExecutableOf(_proxy), Arguments, Folder.Path, environment);

    private string[] Arguments => ["-p", Folder.Path + "/", "-e", Folder.File("start.log"), "-c", Folder.File("postern.conf")];

    /// <summary>Writes the configuration.</summary>
    /// <param name="main">More directives outside all blocks.</param>
    /// <param name="mail">More directives in the mail block.</param>
    public void Configure(string mail = "", string main = "")
    {
        // In one step, as a careful administrator does: a reload must not meet half a file.
        string fresh = Folder.Write("postern.conf.new", Compose(mail, main));
        File.Move(fresh, Folder.File("postern.conf"), overwrite: true);
    }

    private string Compose(string mail, string main) =>
        $$"""
        {{(_proxy == MailProxy.Nginx ? $"load_module {ProgramUnderTest.NginxMailModule};" : "")}}
        {{_main}} {{main}}
        worker_processes 2;
        pid {{PidFile}};
        error_log {{LogFile}} notice;
        events { worker_connections {{_workerConnections}}; }
        mail {
            auth_http 127.0.0.1:{{_backends.AuthPort}}/;
            auth_http_timeout 10s;
            xclient off;
            proxy_smtp_auth on;
            ssl_certificate {{Certificate.CertificateFile}};
            ssl_certificate_key {{Certificate.KeyFile}};
            {{mail}}
            server { listen 127.0.0.1:{{Imap}}; protocol imap; }
            server { listen 127.0.0.1:{{Imaps}} ssl; protocol imap; }
            server { listen 127.0.0.1:{{Pop3}}; protocol pop3; }
            server { listen 127.0.0.1:{{Smtp}}; protocol smtp; }
        }

        """;

    /// <summary>Reloads so often, each time with other capabilities, and waits each time until clients get them.</summary>
    /// <param name="first">Number of the first; none may be used twice.</param>
    /// <param name="count">How many.</param>
    public async Task ReloadAsync(int first, int count)
    {
        for (int i = first; i < first + count; i++)
        {
            string word = string.Create(CultureInfo.InvariantCulture, $"ROUND{i}X");
            Configure($"imap_capabilities {word};");
            Signal(Hup);
            await Deadline.UntilAsync(() => Capability(Imap).Contains(word, StringComparison.Ordinal), () => Log);
        }
    }

    /// <summary>A client of one of the four ports, by turns.</summary>
    public Task<SteadyClient> LogInAsync(int number = 0) => (number % 4) switch
    {
        0 => SteadyClient.LogInAsync("imap", Imap, tls: false, number),
        1 => SteadyClient.LogInAsync("imap", Imaps, tls: true, number),
        2 => SteadyClient.LogInAsync("pop3", Pop3, tls: false, number),
        _ => SteadyClient.LogInAsync("smtp", Smtp, tls: false, number),
    };

    /// <summary>What an IMAP server on the port says it can do.</summary>
    public static string Capability(int port)
    {
        using TcpClient client = new("127.0.0.1", port);
        using StreamReader reader = new(client.GetStream());
        _ = reader.ReadLine();
        client.GetStream().Write("a CAPABILITY\r\n"u8);
        return reader.ReadLine() ?? "";
    }

    /// <summary>The workers of a master.</summary>
    public static IReadOnlyList<int> WorkersOf(int master)
    {
        try
        {
            return [.. Directory.GetDirectories($"/proc/{master}/task")
                .SelectMany(task => File.ReadAllText(task + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .Select(child => int.Parse(child, CultureInfo.InvariantCulture))
                .Where(child => IsRunning(child) && File.ReadAllText($"/proc/{child}/cmdline").Contains(": worker process", StringComparison.Ordinal))];
        }
        catch (IOException)
        {
            // It ended meanwhile.
            return [];
        }
    }

    /// <summary>Whether the process lives; one that has ended and was not asked about is dead.</summary>
    public static bool IsRunning(int process)
    {
        try
        {
            return StateOf($"/proc/{process}") != 'Z';
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Whether SIGSTOP has reached each of its threads.</summary>
    public static bool IsStopped(int process) => Directory.GetDirectories($"/proc/{process}/task").All(thread => StateOf(thread) == 'T');

    /// <summary>proc(5): the letter behind the name in <c>stat</c>.</summary>
    private static char StateOf(string folder)
    {
        string stat = File.ReadAllText(folder + "/stat");
        return stat[stat.LastIndexOf(')')..][2];
    }

    public static void Signal(int process, int signal) => _ = SendSignal(process, signal);

    /// <summary>Signals the process in charge.</summary>
    public void Signal(int signal) => Signal(Master, signal);

    /// <summary>Waits until the log says it so many times.</summary>
    public Task LoggedAsync(string text, int times = 1) => Deadline.UntilAsync(
        () => Log.Split(text).Length > times, () => $"not {times} times \"{text}\" in {Log}", TimeSpan.FromSeconds(20));

    /// <summary>The process in charge is to be ended with the test, whoever is in charge then.</summary>
    public int Remember()
    {
        int master = Master;
        _ = _started.Add(master);
        return master;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (int master in _started.Where(IsRunning))
        {
            Signal(master, Term);
            await Deadline.UntilAsync(() => !IsRunning(master), () => $"process {master} does not end: {Log}");
        }

        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        Folder.Dispose();
    }

    private static string Read(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    [DllImport("libc.so.6", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int processId, int signal);
}
