using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace Postern.Logging.Tests;

/// <summary>A log set on fake time with a temporary folder, removed at the end.</summary>
internal sealed class TestLog : IDisposable
{
    public TestLog()
    {
        Time = new FakeTimeProvider(new DateTimeOffset(2026, 11, 2, 15, 20, 25, 900, TimeSpan.Zero));
        Set = new ErrorLogSet(Time, Files, "mx.example.test");
        Folder = Directory.CreateTempSubdirectory("postern-log").FullName;
    }

    public FakeTimeProvider Time { get; }

    public LogFiles Files { get; } = new();

    public ErrorLogSet Set { get; }

    public string Folder { get; }

    public string Path(string name) => System.IO.Path.Combine(Folder, name);

    public ErrorLogSettings File(string name, LogLevel level) => new() { Kind = ErrorLogTargetKind.File, Path = Path(name), Level = level };

    public ErrorLog Open(params ErrorLogSettings[] settings) =>
        Set.TryOpen(settings, out ErrorLog? log, out string? error) ? log : throw new InvalidOperationException(error);

    public string Read(string name) => System.IO.File.ReadAllText(Path(name), Encoding.Latin1);

    public void Dispose()
    {
        Set.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}
