using System.Diagnostics;
using System.Text;
using Postern.TestKit;

namespace Postern.ParityTests.Configuration;

/// <summary>What <c>-t</c> said.</summary>
/// <param name="ExitCode">0 if the configuration is good.</param>
/// <param name="FirstMessage">The first message, without <c>nginx: </c> and the folder; empty if there is none.</param>
/// <param name="SyntaxOk">Whether the line <c>syntax is ok</c> was printed.</param>
public sealed record TestOutcome(int ExitCode, string FirstMessage, bool SyntaxOk);

/// <summary>A folder with the files that configurations include, and both programs to test configurations in it.</summary>
public sealed class ConfigurationFolder : IDisposable
{
    private const string LogOption = "err.log";

    /// <summary>Debian builds the mail module as a shared object; postern accepts the directive.</summary>
    private const string Globals = "load_module /usr/lib/nginx/modules/ngx_mail_module.so; pid x.pid;";

    private readonly Lock _turn = new();
    private readonly string _path = Directory.CreateTempSubdirectory("postern-parity-").FullName + "/";

    public ConfigurationFolder()
    {
        Write("unknown.inc", "foo;\n");
        Write("unclosed.inc", "mail {\n");
        Write("closing.inc", "}");
        Write("empty.inc", "");
        Write("conf.d/20-b.conf", "second;");
        Write("conf.d/10-a.conf", "\nfirst;");
        Write("conf.d/.hidden.conf", "hidden;");
        Write("sub/nested.inc", "include sub/deeper.inc;");
        Write("sub/deeper.inc", "\n\ndeep;");
        TlsFiles.Write(Write);
    }

    /// <summary>nginx with its mail module.</summary>
    public TestOutcome TestWithNginx(string configuration) => Test(ProgramUnderTest.ExecutableOf(MailProxy.Nginx), configuration);

    /// <summary>The postern that <c>POSTERN_BINARY</c> names.</summary>
    public TestOutcome TestWithPostern(string configuration)
    {
        string binary = Environment.GetEnvironmentVariable("POSTERN_BINARY")
            ?? throw new InvalidOperationException("POSTERN_BINARY must name the postern executable to be compared with nginx");
        return Test(binary, configuration);
    }

    public void Dispose() => Directory.Delete(_path, recursive: true);

    // One at a time: all use the same file name, because it is part of the messages.
    private TestOutcome Test(string program, string configuration)
    {
        lock (_turn)
        {
            return TestAlone(program, configuration);
        }
    }

    private TestOutcome TestAlone(string program, string configuration)
    {
        Write("n.conf", configuration);
        ProcessStartInfo start = new(program, ["-t", "-p", _path, "-c", "n.conf", "-e", LogOption, "-g", Globals])
        {
            RedirectStandardError = true,
            StandardErrorEncoding = Encoding.UTF8,
            WorkingDirectory = _path,
        };
        using Process process = Process.Start(start)!;
        string[] lines = process.StandardError.ReadToEnd().Split('\n');
        process.WaitForExit();
        bool syntaxOk = lines.Any(line => line.EndsWith("syntax is ok", StringComparison.Ordinal));
        return new TestOutcome(process.ExitCode, FirstMessage(lines), syntaxOk);
    }

    private string FirstMessage(string[] lines) => Array.Find(lines, line => line.StartsWith("nginx: [", StringComparison.Ordinal))
        ?.Replace("nginx: ", "", StringComparison.Ordinal).Replace(_path, "", StringComparison.Ordinal) ?? "";

    private void Write(string name, string content) => Write(name, Encoding.UTF8.GetBytes(content));

    private void Write(string name, byte[] content)
    {
        string path = _path + name;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
    }
}
