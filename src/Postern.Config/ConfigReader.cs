using System.Globalization;
using System.Runtime.InteropServices;

namespace Postern.Config;

/// <summary>
/// Reads configuration text and carries out its directives. Checks each one in nginx's order (mail-proxy reference 1.2):
/// known, allowed here, terminator, number of arguments, then its own. An error does not end the reading, except where the
/// text itself cannot be split any further.
/// </summary>
public sealed class ConfigReader
{
    /// <summary>Included files deeper than this are an endless recursion; nginx ends it by running out of descriptors.</summary>
    private const int MaxDepth = 512;

    private readonly ILookup<string, Directive> _directives;
    private readonly List<ConfigMessage> _messages = [];
    private readonly List<ConfigFile> _files = [];
    private ConfigLexer _lexer = new(default);
    private string? _path;
    private int _depth;
    private ConfigContexts _context = ConfigContexts.Main;

    /// <summary>Set once the text cannot be split any further: the enclosing blocks and files then end without another word.</summary>
    private bool _broken;

    /// <param name="directives">All tables.</param>
    /// <param name="environment">Directories and host names.</param>
    public ConfigReader(IEnumerable<Directive> directives, ConfigEnvironment environment)
    {
        _directives = directives.Append(IncludeDirective.Row).ToLookup(directive => directive.Name, StringComparer.Ordinal);
        Environment = environment;
    }

    public ConfigEnvironment Environment { get; }

    /// <summary>Every directive this reader knows, also those of the language itself. A name may have several rows.</summary>
    public IEnumerable<Directive> Directives => _directives.SelectMany(rows => rows);

    /// <summary>What was reported so far, in order.</summary>
    public IReadOnlyList<ConfigMessage> Messages => _messages;

    /// <summary>Each file read, once, in the order of first reading.</summary>
    public IReadOnlyList<ConfigFile> Files => _files;

    public bool HasErrors => _messages.Exists(message => message.IsError);

    /// <summary>Where reading stands.</summary>
    internal ConfigPosition Position => _path is null ? ConfigPosition.CommandLine : new ConfigPosition(_path, _lexer.Line);

    public void Report(ConfigSeverity severity, string text, ConfigPosition position) =>
        _messages.Add(new ConfigMessage(severity, text, position));

    /// <summary>Reads the directives of <c>-g</c>.</summary>
    public void ReadParameter(ReadOnlyMemory<byte> text, ConfigScope main)
    {
        _path = null;
        _lexer = new ConfigLexer(text, isParameter: true);
        ReadStatements(ConfigContexts.Main, main, isBlock: false);
    }

    /// <summary>Reads the main configuration file.</summary>
    public void ReadMainFile(string path, ConfigScope main) => ReadFile(path, ConfigContexts.Main, main, ConfigPosition.None);

    internal void ReadIncluded(string path, ConfigScope scope, ConfigPosition position) => ReadFile(path, _context, scope, position);

    internal bool ReadBlock(ConfigContexts inner, ConfigScope scope)
    {
        ConfigContexts outer = _context;
        bool complete = ReadStatements(inner, scope, isBlock: true);
        _context = outer;
        return complete;
    }

    internal void SkipBlock()
    {
        int open = 1;
        while (open > 0)
        {
            switch (_lexer.Read())
            {
                case StatementEnd.BlockStart:
                    open++;
                    break;
                case StatementEnd.BlockEnd:
                    open--;
                    break;
                case StatementEnd.EndOfText:
                    ReportBrokenText("unexpected end of file, expecting \"}\"", _lexer.Line);
                    return;
                case StatementEnd.Error:
                    ReportBrokenText(_lexer.Error!, _lexer.ErrorLine);
                    return;
                case StatementEnd.Semicolon:
                default:
                    break;
            }
        }
    }

    private void ReadFile(string path, ConfigContexts context, ConfigScope scope, ConfigPosition position)
    {
        if (_depth == MaxDepth)
        {
            Report(ConfigSeverity.Emerg, $"open() \"{path}\" failed (24: Too many open files)", position);
            return;
        }

        if (Load(path, position) is not ReadOnlyMemory<byte> content)
        {
            return;
        }

        (ConfigLexer lexer, string? outerPath, ConfigContexts outerContext) = (_lexer, _path, _context);
        _lexer = new ConfigLexer(content);
        _path = path;
        _depth++;
        ReadStatements(context, scope, isBlock: false);
        _depth--;
        (_lexer, _path, _context) = (lexer, outerPath, outerContext);
    }

    private ReadOnlyMemory<byte>? Load(string path, ConfigPosition position)
    {
        try
        {
            byte[] content = ConfigFiles.Current.Read(path);
            if (!_files.Exists(file => file.Path == path))
            {
                _files.Add(new ConfigFile(path, content));
            }

            return content;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            ReportUnreadable(path, error, position);
            return null;
        }
    }

    private void ReportUnreadable(string path, Exception error, ConfigPosition position)
    {
        const int noSuchFile = 2;
        const int permissionDenied = 13;
        const int isDirectory = 21;
        if (Directory.Exists(path))
        {
            Report(ConfigSeverity.Crit, $"pread() \"{path}\" failed ({Describe(isDirectory)})", ConfigPosition.None);
            return;
        }

        int code = error switch
        {
            FileNotFoundException or DirectoryNotFoundException or ArgumentException => noSuchFile,
            UnauthorizedAccessException => permissionDenied,
            _ => error.HResult,
        };
        Report(ConfigSeverity.Emerg, $"open() \"{path}\" failed ({Describe(code)})", position);
    }

    private static string Describe(int errno) =>
        string.Create(CultureInfo.InvariantCulture, $"{errno}: {Marshal.GetPInvokeErrorMessage(errno)}");

    /// <summary>Reads statements up to the end of the file or block.</summary>
    /// <returns>False if the text broke off.</returns>
    private bool ReadStatements(ConfigContexts context, ConfigScope scope, bool isBlock)
    {
        _context = context;
        while (!_broken)
        {
            StatementEnd end = _lexer.Read();
            switch (end)
            {
                case StatementEnd.Error:
                    ReportBrokenText(_lexer.Error!, _lexer.ErrorLine);
                    break;
                case StatementEnd.EndOfText when isBlock:
                    ReportBrokenText("unexpected end of file, expecting \"}\"", _lexer.Line);
                    break;
                case StatementEnd.BlockEnd when !isBlock:
                    ReportBrokenText("unexpected \"}\"", _lexer.Line);
                    break;
                case StatementEnd.EndOfText:
                case StatementEnd.BlockEnd:
                    return true;
                case StatementEnd.BlockStart when _path is null:
                    ReportBrokenText("block directives are not supported in -g option", _lexer.Line);
                    break;
                case StatementEnd.Semicolon:
                case StatementEnd.BlockStart:
                default:
                    Execute([.. _lexer.Words], scope, end == StatementEnd.BlockStart);
                    break;
            }
        }

        return false;
    }

    private void ReportBrokenText(string message, int line)
    {
        _broken = true;
        Report(ConfigSeverity.Emerg, message, _path is null ? ConfigPosition.CommandLine : new ConfigPosition(_path, line));
    }

    private void Execute(string[] words, ConfigScope scope, bool opensBlock)
    {
        if (Choose(words, opensBlock) is Directive directive)
        {
            directive.Apply(new DirectiveCall(this, directive, words[1..], scope, Position));
        }
        else if (opensBlock)
        {
            SkipBlock();
        }
    }

    /// <summary>The directive a statement names, or null after the first check it fails.</summary>
    private Directive? Choose(string[] words, bool opensBlock)
    {
        string name = words[0];
        int arguments = words.Length - 1;
        Directive? directive = _directives[name].FirstOrDefault(row => (row.Contexts & _context) != 0);
        string? fault = directive switch
        {
            null when _directives.Contains(name) => $"\"{name}\" directive is not allowed here",
            null => $"unknown directive \"{name}\"",
            { IsBlock: false } when opensBlock => $"directive \"{name}\" is not terminated by \";\"",
            { IsBlock: true } when !opensBlock => $"directive \"{name}\" has no opening \"{{\"",
            _ when arguments < directive.MinArguments || arguments > directive.MaxArguments =>
                $"invalid number of arguments in \"{name}\" directive",
            _ => null,
        };
        if (fault is null)
        {
            return directive;
        }

        Report(ConfigSeverity.Emerg, fault, Position);
        return null;
    }
}
