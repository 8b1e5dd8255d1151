using System.Collections.Concurrent;
using System.Globalization;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Hostile;

/// <summary>What came of many cases of one kind, in words: a program's cell in the table of docs/reliability.md.</summary>
internal sealed class Outcomes
{
    private readonly ConcurrentDictionary<string, ConcurrentBag<string>> _seen = new();

    /// <param name="outcome">In the words of the table.</param>
    /// <param name="where">Which case.</param>
    public void Add(string outcome, string where) => _seen.GetOrAdd(outcome, _ => []).Add(where);

    /// <summary>Each of the expected outcomes was seen, and no other.</summary>
    public void AssertAre(params string[] expected) =>
        Assert.True(_seen.Keys.Order().SequenceEqual(expected.Order()), $"expected: {string.Join("; ", expected)}\nseen:\n{Describe()}");

    /// <summary>No other than these was seen; which of them is a matter of how the kernel joined segments.</summary>
    public void AssertAreAmong(params string[] allowed) =>
        Assert.True(!_seen.IsEmpty && _seen.Keys.All(allowed.Contains), $"allowed: {string.Join("; ", allowed)}\nseen:\n{Describe()}");

    private string Describe() => string.Join('\n', _seen.OrderBy(pair => pair.Key).Select(pair => string.Create(
        CultureInfo.InvariantCulture, $"{pair.Value.Count} x {Text.Show(pair.Key)}: {Text.Show(string.Join(" | ", pair.Value.Take(8)))}")));
}
