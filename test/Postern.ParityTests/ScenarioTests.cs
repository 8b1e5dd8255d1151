using Postern.TestKit;
using Postern.TestKit.Scenarios;
using Xunit;

namespace Postern.ParityTests;

/// <summary>The scenarios, each played against both programs; <c>POSTERN_SCENARIO</c> narrows them to names containing it.</summary>
public sealed class ScenarioTests
{
    private static readonly Lazy<IReadOnlyDictionary<string, Scenario>> _scenarios = new(Read);

    public static TheoryData<string> Names => [.. _scenarios.Value.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public Task Nginx(string scenario) => ScenarioPlayer.PlayAsync(_scenarios.Value[scenario], MailProxy.Nginx);

    [Theory]
    [MemberData(nameof(Names))]
    public Task Postern(string scenario) => ScenarioPlayer.PlayAsync(_scenarios.Value[scenario], MailProxy.Postern);

    private static Dictionary<string, Scenario> Read()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Scenarios");
        string only = Environment.GetEnvironmentVariable("POSTERN_SCENARIO") ?? "";
        return Directory.EnumerateFiles(folder, "*.txt")
            .Order(StringComparer.Ordinal)
            .SelectMany(ScenarioFile.Read)
            .Where(scenario => scenario.Name.Contains(only, StringComparison.Ordinal))
            .ToDictionary(scenario => scenario.Name);
    }
}
