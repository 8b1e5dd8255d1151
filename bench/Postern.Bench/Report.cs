using System.Globalization;
using System.Text;

namespace Postern.Bench;

/// <summary>Shows the results.</summary>
/// <param name="peer">Name of the proxy that goals are set against.</param>
/// <param name="others">Names of further ones, each a column.</param>
internal sealed class Report(string peer, IReadOnlyList<string> others)
{
    /// <summary>Above this share of its thread the generator (or the fakes), not the proxy, sets the pace.</summary>
    private const double GeneratorLimit = 0.9;

    public string Table(IReadOnlyList<MeasureResult> results)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"| measure | unit | postern | {peer} | ratio (range) | goal | stretch | |");
        text.Append(string.Concat(others.Select(name => $" {name} (ratio) |")));
        text.Append("\n|---|---|---:|---:|---:|---:|---:|---|");
        text.Append(string.Concat(others.Select(_ => "---:|"))).Append('\n');
        foreach (MeasureResult result in results)
        {
            Measure measure = result.Measure;
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {measure.Title} | {measure.Unit} | {Figure(result, "postern")} | {Figure(result, peer)} | {Ratio(result)} | {Limit(measure.Goal)} | {Limit(measure.Stretch)} | {Remark(result)} |");
            text.Append(string.Concat(others.Select(name => $" {FigureAndRatio(result, name)} |"))).Append('\n');
        }

        return text.ToString();
    }

    /// <param name="tables">Results by <c>error_log</c> level.</param>
    public string Json(IEnumerable<(string LogLevel, IReadOnlyList<MeasureResult> Results)> tables) =>
        "[\n" + string.Join(",\n", tables.SelectMany(table => table.Results.Select(result => JsonObject(table.LogLevel, result)))) + "\n]\n";

    private string JsonObject(string logLevel, MeasureResult result)
    {
        Measure measure = result.Measure;
        string figures = string.Concat(result.Names.Select(name => $"\"{name}\": [{Numbers(result.Figures(name)!)}], "));
        return string.Create(
            CultureInfo.InvariantCulture,
            $$"""  {"measure": "{{measure.Name}}", "log": "{{logLevel}}", "unit": "{{measure.Unit}}", "goal": {{JsonNumber(measure.Goal)}}, "ratio": {{MeasureResult.Median(result.Ratios(peer)):0.####}}, {{figures}}"generator": {{result.GeneratorLoad:0.##}}}""");
    }

    private static string JsonNumber(double? value) => value?.ToString("0.##", CultureInfo.InvariantCulture) ?? "null";

    private static string Numbers(IEnumerable<double> values) =>
        string.Join(", ", values.Select(value => value.ToString("0.####", CultureInfo.InvariantCulture)));

    private static string Figure(MeasureResult result, string name)
    {
        double median = MeasureResult.Median(result.Figures(name)!);
        return median.ToString(median < 10 ? "0.00" : median < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);
    }

    private static string FigureAndRatio(MeasureResult result, string name) => result.Figures(name) is null
        ? "–"
        : string.Create(CultureInfo.InvariantCulture, $"{Figure(result, name)} ({MeasureResult.Median(result.Ratios(name)):0.00})");

    private static string Limit(double? limit) => limit?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";

    private string Ratio(MeasureResult result) => string.Create(
        CultureInfo.InvariantCulture,
        $"{MeasureResult.Median(result.Ratios(peer)):0.00} ({result.Ratios(peer).Min():0.00}–{result.Ratios(peer).Max():0.00})");

    private string Remark(MeasureResult result)
    {
        string goal = result.GoalHolds(peer) ? "" : "goal missed";
        string limit = result.GeneratorLoad > GeneratorLimit ? "the generator is the limit" : "";
        return goal.Length > 0 && limit.Length > 0 ? goal + ", " + limit : goal + limit;
    }
}
