using System.Collections;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Postern.Config;
using Postern.Logging;
using Postern.Server.Configuration;
using Xunit;

namespace Postern.Server.Tests;

/// <summary>docs/directives.md says of each directive what the directive tables say: none is missing, none is made up.</summary>
public sealed partial class DirectivesPageTests : ConfigurationTests
{
    private const string NoDefault = "none";

    private static readonly ILookup<string, Directive> _known = new ConfigReader(ConfigurationLoader.Directives, new ConfigEnvironment
    {
        Prefix = "/",
        ConfigDirectory = "/",
        ResolveHost = _ => [],
    }).Directives.ToLookup(directive => directive.Name);

    private static readonly List<Entry> _page = [.. EntryPattern().Matches(File.ReadAllText(PagePath())).Select(match => new Entry(
        match.Groups["name"].Value,
        match.Groups["syntax"].Value,
        match.Groups["default"].Value,
        match.Groups["context"].Value,
        match.Groups["text"].Value.Trim()))];

    public static TheoryData<string> Names => [.. _page.Select(entry => entry.Name)];

    [Fact]
    public void Page_NamesOfTheTables_EachOnceAndNoOther()
    {
        Assert.Equal(HeadingPattern().Count(File.ReadAllText(PagePath())), _page.Count);
        Assert.Equal(_known.Select(rows => rows.Key).Order(StringComparer.Ordinal), _page.Select(entry => entry.Name).Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Entry_Contexts_AreThoseOfTheTable(string name)
    {
        ConfigContexts allowed = _known[name].Aggregate(ConfigContexts.None, (contexts, row) => contexts | row.Contexts);

        IEnumerable<string> expected = new[] { ConfigContexts.Main, ConfigContexts.Events, ConfigContexts.Mail, ConfigContexts.Server }
            .Where(context => allowed.HasFlag(context))
            .Select(context => context.ToString().ToLowerInvariant());

        Assert.Equal(string.Join(", ", expected), Find(name).Context);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Entry_Syntax_NamesTheDirectiveAndEndsAsItDoes(string name)
    {
        Entry entry = Find(name);

        Assert.StartsWith(name + " ", entry.Syntax, StringComparison.Ordinal);
        Assert.EndsWith(_known[name].First().IsBlock ? "{ … }" : ";", entry.Syntax, StringComparison.Ordinal);
        Assert.NotEmpty(entry.Text);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Entry_Default_IsWhatTheTableMeansWithoutTheDirective(string name)
    {
        string text = Find(name).Default;
        Slot? slot = _known[name].First().Slot;
        if (text == NoDefault || text.StartsWith(NoDefault + " (", StringComparison.Ordinal))
        {
            Assert.True(slot is null || IsNothing(DefaultOf(slot)), "it has a default");
            return;
        }

        Match directive = QuotedPattern().Match(text);
        Assert.True(directive.Success, $"\"{text}\" is neither a directive nor none");
        Assert.StartsWith(name + " ", directive.Groups[1].Value, StringComparison.Ordinal);
        if (name == "error_log")
        {
            // Added to the logs of a configuration, not kept in a slot.
            Assert.Equivalent(
                Settings("events {} " + directive.Groups[1].Value.Replace(" error", " error;", StringComparison.Ordinal)).ErrorLogs,
                Settings("events {}").ErrorLogs);
            Assert.Equal(LogLevel.Error, Assert.Single(Settings("events {}").ErrorLogs).Level);
            return;
        }

        Assert.NotNull(slot);
        Assert.Equal(DefaultOf(slot), ValueOf(slot, Read(directive.Groups[1].Value + ";")));
    }

    private static Entry Find(string name) => _page.Single(entry => entry.Name == name);

    /// <summary>What one directive leaves in the scope it stands in.</summary>
    private ConfigScope Read(string text)
    {
        // Only the main context can be read without its block: every directive may stand there for once.
        Directive row = _known[text[..text.IndexOf(' ', StringComparison.Ordinal)]].First();
        ConfigReader reader = new(
            [Directive.Custom(row.Name, ConfigContexts.Main, row.MinArguments, row.MaxArguments, row.Apply)],
            new ConfigEnvironment { Prefix = Folder, ConfigDirectory = Folder, ResolveHost = _ => [] });
        ConfigScope scope = new(parent: null, ConfigPosition.None);
        WriteFile("one.conf", text);
        reader.ReadMainFile(Folder + "one.conf", scope);
        Assert.DoesNotContain(reader.Messages, message => message.IsError);
        return scope;
    }

    private static object? DefaultOf(Slot slot) => slot.GetType().GetProperty(nameof(Slot<>.Default))!.GetValue(slot);

    private static object? ValueOf(Slot slot, ConfigScope scope)
    {
        Assert.True(scope.Sets(slot), "the directive did not fill its slot");
        return typeof(ConfigScope).GetMethod(nameof(ConfigScope.GetOwn))!
            .MakeGenericMethod(slot.GetType().GetGenericArguments()).Invoke(scope, [slot]);
    }

    private static bool IsNothing(object? value) => value is null or "" || (value is ICollection { Count: 0 });

    private static string PagePath([CallerFilePath] string test = "") =>
        Path.Combine(Path.GetDirectoryName(test)!, "../../docs/directives.md");

    [GeneratedRegex("^### ", RegexOptions.Multiline)]
    private static partial Regex HeadingPattern();

    [GeneratedRegex(
        @"^### `(?<name>[^`]+)`\n\n- Syntax: `(?<syntax>[^`]+)`\n- Default: (?<default>.+)\n- Context: (?<context>.+)\n\n(?<text>(?:(?!#).*\n)+)",
        RegexOptions.Multiline)]
    private static partial Regex EntryPattern();

    [GeneratedRegex("^`([^`]+)`$")]
    private static partial Regex QuotedPattern();

    private sealed record Entry(string Name, string Syntax, string Default, string Context, string Text);
}
