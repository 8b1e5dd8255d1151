namespace Postern.Config;

/// <summary>One occurrence of a directive, as its action sees it.</summary>
public sealed class DirectiveCall
{
    private readonly ConfigReader _reader;

    internal DirectiveCall(
        ConfigReader reader, Directive directive, IReadOnlyList<string> arguments, ConfigScope scope, ConfigPosition position)
    {
        _reader = reader;
        Directive = directive;
        Arguments = arguments;
        Scope = scope;
        Position = position;
    }

    public Directive Directive { get; }

    /// <summary>The words behind the name; their number has been checked.</summary>
    public IReadOnlyList<string> Arguments { get; }

    /// <summary>The block the directive stands in.</summary>
    public ConfigScope Scope { get; }

    /// <summary>The line of the <c>;</c> or <c>{</c>.</summary>
    public ConfigPosition Position { get; }

    /// <summary>Where reading stands: behind <see cref="ReadBlock"/>, the line of the block's closing brace.</summary>
    public ConfigPosition ReadingPosition => _reader.Position;

    /// <summary>Directories and host names.</summary>
    public ConfigEnvironment Environment => _reader.Environment;

    public void Error(string text) => _reader.Report(ConfigSeverity.Emerg, text, Position);

    public void Warn(string text) => _reader.Report(ConfigSeverity.Warn, text, Position);

    public void Notice(string text) => _reader.Report(ConfigSeverity.Notice, text, Position);

    /// <summary>An error about another line, for checks that are made when a block is complete.</summary>
    public void ErrorAt(ConfigPosition position, string text) => _reader.Report(ConfigSeverity.Emerg, text, position);

    /// <summary>A warning about another line, for checks that are made when a block is complete.</summary>
    public void WarnAt(ConfigPosition position, string text) => _reader.Report(ConfigSeverity.Warn, text, position);

    /// <summary>A message of any severity, about another line or none.</summary>
    public void ReportAt(ConfigPosition position, ConfigSeverity severity, string text) => _reader.Report(severity, text, position);

    /// <summary><c>"x" directive invalid value</c>.</summary>
    public void InvalidValue() => Error($"\"{Directive.Name}\" directive invalid value");

    /// <summary>Whether any error has been reported so far: checks of the whole would then only report consequences.</summary>
    public bool HasErrors => _reader.HasErrors;

    /// <summary>Reads the block behind the directive, up to its closing brace.</summary>
    /// <param name="inner">Its context: exactly one.</param>
    /// <param name="scope">Takes its values.</param>
    /// <returns>False if the text ended or broke off inside; the message is reported.</returns>
    public bool ReadBlock(ConfigContexts inner, ConfigScope scope) => _reader.ReadBlock(inner, scope);

    /// <summary>Passes over the block behind the directive: braces have to balance, words do not matter.</summary>
    public void SkipBlock() => _reader.SkipBlock();

    /// <summary>Reads another file in place of the directive.</summary>
    /// <param name="path">As it is to be opened.</param>
    public void ReadFile(string path) => _reader.ReadIncluded(path, Scope, Position);
}
