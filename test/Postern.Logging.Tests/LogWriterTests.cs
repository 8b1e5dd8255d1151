using System.Text;
using Xunit;

namespace Postern.Logging.Tests;

/// <summary>The thread that writes. There is one for a process: these tests do not run beside others.</summary>
[Collection(nameof(LogWriterTests))]
[CollectionDefinition(nameof(LogWriterTests), DisableParallelization = true)]
public class LogWriterTests
{
    [Fact]
    public void Dispose_LinesOfManyThreads_AllWrittenInEachThreadsOrder()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("a.log", LogLevel.Info));
        using (LogWriter.Start())
        {
            Thread[] threads = [.. Enumerable.Range(0, 4).Select(number => new Thread(() =>
            {
                for (int i = 0; i < 500; i++)
                {
                    log.Write(LogLevel.Info, Encoding.ASCII.GetBytes($"{number} {i}"));
                }
            }))];
            Array.ForEach(threads, thread => thread.Start());
            Array.ForEach(threads, thread => thread.Join());
        }

        string[] lines = test.Read("a.log").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2000, lines.Length);
        for (int number = 0; number < 4; number++)
        {
            string[] own = [.. lines.Select(line => line[(line.LastIndexOf(": ", StringComparison.Ordinal) + 2)..]).Where(line => line.StartsWith($"{number} ", StringComparison.Ordinal))];
            Assert.Equal(Enumerable.Range(0, 500).Select(i => $"{number} {i}"), own);
        }
    }

    [Fact]
    public async Task Write_ReaderThatDoesNotRead_NeverWaitsAndSaysWhatIsMissing()
    {
        using TestLog test = new();
        string path = test.Path("fifo");
        Assert.Equal(0, MakeFifo(path));
        await using var reader = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        ErrorLog log = test.Open(new ErrorLogSettings { Kind = ErrorLogTargetKind.File, Path = path, Level = LogLevel.Info });
        byte[] message = Encoding.ASCII.GetBytes(new string('x', 1000));
        string text;
        using (LogWriter.Start())
        {
            // More than the pipe and the buffer hold: if the writing waited, this would not end.
            for (int i = 0; i < 3000; i++)
            {
                log.Write(LogLevel.Info, message);
            }

            text = await ReadUntilAsync(reader, "lines are missing here");
        }

        Assert.Contains(" lines are missing here: they could not be written in time\n", text, StringComparison.Ordinal);
        Assert.All(
            text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.Contains("missing", StringComparison.Ordinal)),
            line => Assert.EndsWith(": " + new string('x', 1000), line, StringComparison.Ordinal));
    }

    [Fact]
    public void Reopen_LinesThatWait_GoToTheOldFile()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("a.log", LogLevel.Info));
        using (LogWriter.Start())
        {
            for (int i = 0; i < 100; i++)
            {
                string old = test.Path($"a.log.{i}");
                log.Write(LogLevel.Info, Encoding.ASCII.GetBytes($"before {i}"));
                File.Move(test.Path("a.log"), old);
                Assert.Empty(test.Files.Reopen());
                Assert.EndsWith($": before {i}\n", File.ReadAllText(old), StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Dispose_LaterLines_AreWrittenAtOnce()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("a.log", LogLevel.Info));
        using (LogWriter.Start())
        {
            log.Write(LogLevel.Info, "before"u8);
        }

        log.Write(LogLevel.Info, "after"u8);
        Assert.Matches("before\n.*after\n$", test.Read("a.log"));
    }

    private static async Task<string> ReadUntilAsync(FileStream stream, string end)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[65536];
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!text.ToString().Contains(end, StringComparison.Ordinal) || text[^1] != '\n')
        {
            int n = await stream.ReadAsync(buffer, limit.Token);
            text.Append(Encoding.ASCII.GetString(buffer, 0, n));
        }

        return text.ToString();
    }

    private static int MakeFifo(string path)
    {
        using var process = System.Diagnostics.Process.Start("mkfifo", path);
        process.WaitForExit();
        return process.ExitCode;
    }
}
