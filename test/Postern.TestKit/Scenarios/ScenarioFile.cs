using System.Globalization;
using System.Text.RegularExpressions;

namespace Postern.TestKit.Scenarios;

/// <summary>
/// Reads a file of scenarios. Lines before the first <c>--- name</c> are settings for all of them; the README beside the
/// scenario files describes the language.
/// </summary>
public static partial class ScenarioFile
{
    private static readonly HashSet<string> _kinds =
    [
        "C:", "C-", "C.", "C!", "S:", "S-", "S!", "A:", "A<", "A-", "A.", "A!", "auth:", "accept", "refuse:",
        "U:", "U=", "U<", "U-", "U!", "check:", "clock", "elapsed:", "queries:", "log:", "nolog:",
    ];

    public static IReadOnlyList<Scenario> Read(string path)
    {
        string group = Path.GetFileNameWithoutExtension(path);
        var common = new Draft();
        Draft current = common;
        var drafts = new List<Draft>();
        int number = 0;
        foreach (string raw in File.ReadLines(path))
        {
            number++;
            string line = raw.Trim();
            if (line.Any(c => c > '~'))
            {
                throw Bad(path, number, "scenario files are ASCII: write \\xNN");
            }

            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            if (line.StartsWith("--- ", StringComparison.Ordinal))
            {
                current = new Draft { Name = line[4..].Trim() };
                drafts.Add(current);
                continue;
            }

            // Blanks at the end of a line count: they are part of some replies.
            ReadLine(current, raw.TrimStart(), path, number);
        }

        if (common.Steps.Count > 0)
        {
            throw Bad(path, common.Steps[0].Line, "a step before the first scenario");
        }

        Scenario[] scenarios = [.. drafts.Select(draft => draft.Build(group, path, common))];
        return scenarios.DistinctBy(s => s.Name).Count() == scenarios.Length
            ? scenarios
            : throw Bad(path, 0, "two scenarios of one name");
    }

    private static void ReadLine(Draft draft, string line, string path, int number)
    {
        MailProxy? only = null;
        if (Prefix().Match(line) is { Success: true } prefix)
        {
            only = Enum.Parse<MailProxy>(prefix.Groups[1].Value, ignoreCase: true);
            line = line[prefix.Length..];
        }

        int blank = line.IndexOf(' ', StringComparison.Ordinal);
        string kind = blank < 0 ? line : line[..blank];
        string text = blank < 0 ? "" : line[(blank + 1)..];
        switch (kind)
        {
            case "protocol:":
                draft.Protocol = text.Trim();
                return;
            case "listen:":
                draft.Listen = text.Trim();
                return;
            case "mail:":
                draft.Mail.Add(new ConfigurationLine(text.Trim(), only));
                return;
            case "server:":
                draft.Server.Add(new ConfigurationLine(text.Trim(), only));
                return;
            case "zone:":
                draft.Zone.Add(text.Trim());
                return;
            case "auth-server:":
                draft.AuthServer = text.Trim();
                return;
            case "upstream:":
                draft.Upstream = text.Trim();
                return;
            case "differs:":
                draft.Differs = text.Trim();
                return;
        }

        int repeat = 1;
        if (Repeated().Match(kind) is { Success: true } repeated)
        {
            repeat = int.Parse(repeated.Groups[2].Value, CultureInfo.InvariantCulture);
            kind = repeated.Groups[1].Value + repeated.Groups[3].Value;
        }

        if (!_kinds.Contains(kind))
        {
            throw Bad(path, number, $"unknown step \"{kind}\"");
        }

        draft.Steps.Add(new ScenarioStep(kind, repeat, text, only, number));
    }

    private static FormatException Bad(string path, int line, string what) => new($"{Path.GetFileName(path)}:{line}: {what}");

    [GeneratedRegex(@"\A(nginx|postern)\|\s*")]
    private static partial Regex Prefix();

    [GeneratedRegex(@"\A([A-Z])\*([0-9]+)([:\-<])\z")]
    private static partial Regex Repeated();

    /// <summary>A scenario being read; also holds the settings at the top of the file.</summary>
    private sealed class Draft
    {
        public string Name { get; init; } = "";

        public string? Protocol { get; set; }

        public string? Listen { get; set; }

        public string? AuthServer { get; set; }

        public string? Upstream { get; set; }

        public string Differs { get; set; } = "";

        public List<ConfigurationLine> Mail { get; } = [];

        public List<ConfigurationLine> Server { get; } = [];

        public List<string> Zone { get; } = [];

        public List<ScenarioStep> Steps { get; } = [];

        public Scenario Build(string group, string path, Draft common)
        {
            bool hasDifferences = Steps.Any(step => step.Only is not null) || Mail.Concat(Server).Any(line => line.Only is not null);
            if (hasDifferences != (Differs.Length > 0))
            {
                throw Bad(path, Steps.Count > 0 ? Steps[0].Line : 0, $"\"{Name}\" needs \"differs:\" exactly when lines are for one program only");
            }

            if (Steps.Count == 0)
            {
                throw Bad(path, 0, $"\"{Name}\" has no steps");
            }

            return new Scenario(
                $"{group}/{Name}",
                path,
                Protocol ?? common.Protocol ?? "imap",
                Listen ?? common.Listen ?? "",
                Merge(common.Mail, Mail),
                Merge(common.Server, Server),
                Zone,
                AuthServer ?? common.AuthServer ?? "tcp",
                Upstream ?? common.Upstream ?? "ipv4",
                Differs,
                Steps);
        }

        private static List<ConfigurationLine> Merge(List<ConfigurationLine> common, List<ConfigurationLine> own) =>
            [.. common.Where(line => own.All(other => other.Directive != line.Directive)), .. own];
    }
}
