using System.Collections.Concurrent;
using System.Globalization;

namespace Postern.Soak;

/// <summary>What was done and what went wrong, counted by all actors.</summary>
internal sealed class SoakReport
{
    private const int MostErrors = 20;

    private readonly ConcurrentDictionary<string, long> _counts = new();
    private readonly ConcurrentQueue<string> _errors = new();

    public bool IsClean => _errors.IsEmpty;

    public void Count(string what, long times = 1) => _counts.AddOrUpdate(what, times, (_, before) => before + times);

    public void Fail(string what)
    {
        Count("errors");
        if (_errors.Count < MostErrors)
        {
            _errors.Enqueue(what);
            Console.Error.WriteLine("soak: " + what);
        }
    }

    public override string ToString() =>
        string.Join(", ", _counts.OrderBy(pair => pair.Key).Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Value} {pair.Key}")));
}
