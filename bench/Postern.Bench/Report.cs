using System.Globalization;
using System.Text;

namespace Postern.Bench;

/// <summary>Shows the results.</summary>
internal static class Report
{
    /// <summary>Above this share of its thread the generator, not the proxy, sets the pace.</summary>
    private const double GeneratorLimit = 0.9;

    public static string Table(IReadOnlyList<MeasureResult> results)
    {
        var text = new StringBuilder();
        text.AppendLine("| measure | unit | postern | nginx | ratio (range) | goal | stretch | |");
        text.AppendLine("|---|---|---:|---:|---:|---:|---:|---|");
        foreach (MeasureResult result in results)
        {
            Measure measure = result.Measure;
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| {measure.Title} | {measure.Unit} | {Figure(result.Postern)} | {Figure(result.Peer)} | {Ratio(result)} | {Limit(measure.Goal)} | {Limit(measure.Stretch)} | {Remark(result)} |");
        }

        return text.ToString();
    }

    public static string Json(IReadOnlyList<MeasureResult> results) =>
        "[\n" + string.Join(",\n", results.Select(JsonObject)) + "\n]\n";

    private static string JsonObject(MeasureResult result) => string.Create(
        CultureInfo.InvariantCulture,
        $$"""
          {"measure": "{{result.Measure.Name}}", "unit": "{{result.Measure.Unit}}", "goal": {{JsonNumber(result.Measure.Goal)}}, "stretch": {{JsonNumber(result.Measure.Stretch)}}, "ratio": {{MeasureResult.Median(result.Ratios):0.####}}, "postern": [{{Numbers(result.Postern)}}], "nginx": [{{Numbers(result.Peer)}}], "generator": {{result.GeneratorLoad:0.##}}}
        """);

    private static string JsonNumber(double? value) => value?.ToString("0.##", CultureInfo.InvariantCulture) ?? "null";

    private static string Numbers(IEnumerable<double> values) =>
        string.Join(", ", values.Select(value => value.ToString("0.####", CultureInfo.InvariantCulture)));

    private static string Figure(IEnumerable<double> values)
    {
        double median = MeasureResult.Median(values);
        return median.ToString(median < 10 ? "0.00" : median < 100 ? "0.0" : "0", CultureInfo.InvariantCulture);
    }

    private static string Ratio(MeasureResult result) => string.Create(
        CultureInfo.InvariantCulture, $"{MeasureResult.Median(result.Ratios):0.00} ({result.Ratios.Min():0.00}–{result.Ratios.Max():0.00})");

    private static string Limit(double? limit) => limit?.ToString("0.00", CultureInfo.InvariantCulture) ?? "";

    private static string Remark(MeasureResult result)
    {
        string goal = result.Measure.Goal is null ? "" : result.GoalHolds ? "" : "goal missed";
        string limit = result.GeneratorLoad > GeneratorLimit ? "the generator is the limit" : "";
        return goal.Length > 0 && limit.Length > 0 ? goal + ", " + limit : goal + limit;
    }
}
