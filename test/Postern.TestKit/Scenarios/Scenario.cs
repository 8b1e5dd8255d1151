namespace Postern.TestKit.Scenarios;

/// <summary>One line of a scenario that does something: a kind (<c>C:</c>, <c>A&lt;</c>, <c>log:</c>…), its text, and where it stands.</summary>
/// <param name="Kind">Everything up to the first blank, without a repetition count.</param>
/// <param name="Repeat">How often it is to happen.</param>
/// <param name="Text">The rest, still with escapes and placeholders.</param>
/// <param name="Only">The program it is for; null means both.</param>
/// <param name="Line">Line number in the file, from 1.</param>
public sealed record ScenarioStep(string Kind, int Repeat, string Text, MailProxy? Only, int Line);

/// <summary>A conversation that both programs must have in the same way, except where <see cref="Differs"/> says why not.</summary>
/// <param name="Name">File name without extension, a slash, and the name in the file.</param>
/// <param name="File">The file, for messages.</param>
/// <param name="Protocol"><c>imap</c>, <c>pop3</c> or <c>smtp</c>.</param>
/// <param name="Listen">Further parameters of <c>listen</c>.</param>
/// <param name="Mail">Directives at mail level.</param>
/// <param name="Server">Directives at server level.</param>
/// <param name="Zone">Records of a name server of the scenario's own; none: there is no name server.</param>
/// <param name="AuthServer">Where the auth server listens: <c>tcp</c>, <c>unix</c> or <c>none</c>.</param>
/// <param name="Upstream">Where the upstream listens: <c>ipv4</c> or <c>ipv6</c>.</param>
/// <param name="Differs">
/// Why the two programs answer differently: Q-nn, N-nn, <c>decided</c>, or <c>until VERSION</c>, with a reason. Empty when they do not.
/// </param>
/// <param name="Steps">What happens, in order.</param>
public sealed record Scenario(
    string Name,
    string File,
    string Protocol,
    string Listen,
    IReadOnlyList<ConfigurationLine> Mail,
    IReadOnlyList<ConfigurationLine> Server,
    IReadOnlyList<string> Zone,
    string AuthServer,
    string Upstream,
    string Differs,
    IReadOnlyList<ScenarioStep> Steps)
{
    /// <summary>The nginx that has come to do what postern does; null = none has.</summary>
    public Version? NginxAgreesSince { get; } = Differs.Split(' ') is ["until", string version, ..] ? Version.Parse(version) : null;

    public override string ToString() => Name;
}

/// <summary>One directive of a scenario's configuration, with its semicolon.</summary>
public sealed record ConfigurationLine(string Text, MailProxy? Only)
{
    /// <summary>The directive's name: a scenario's own line replaces the file's lines of the same name.</summary>
    public string Directive => Text.Split(' ', 2)[0].TrimEnd(';');
}
