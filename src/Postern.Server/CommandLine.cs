using Postern.Server.Configuration;

namespace Postern.Server;

/// <summary>The options postern was started with (mail-proxy reference 1.8).</summary>
public sealed record CommandLine
{
    /// <summary><c>-v</c>, <c>-V</c>, <c>-h</c> or <c>-?</c>.</summary>
    public bool ShowVersion { get; init; }

    /// <summary><c>-V</c></summary>
    public bool ShowBuild { get; init; }

    /// <summary><c>-h</c> or <c>-?</c></summary>
    public bool ShowHelp { get; init; }

    /// <summary><c>-t</c> or <c>-T</c></summary>
    public bool Test { get; init; }

    /// <summary><c>-T</c></summary>
    public bool Dump { get; init; }

    /// <summary><c>-q</c></summary>
    public bool Quiet { get; init; }

    /// <summary><c>-p</c></summary>
    public string? Prefix { get; init; }

    /// <summary><c>-c</c></summary>
    public string? ConfigFile { get; init; }

    /// <summary><c>-e</c></summary>
    public string? ErrorLog { get; init; }

    /// <summary><c>-g</c></summary>
    public string? Directives { get; init; }

    /// <summary><c>-s</c>: stop, quit, reload or reopen.</summary>
    public string? Signal { get; init; }

    /// <summary>What these options say about the configuration; also used for each reload.</summary>
    public ConfigurationSource ToSource() => new()
    {
        Prefix = Prefix,
        ConfigFile = ConfigFile,
        ErrorLog = ErrorLog,
        Directives = Directives,
    };

    /// <summary>Reads options; they may be clustered, and their values attached or separate.</summary>
    /// <param name="arguments">Without the program's name.</param>
    /// <param name="error">nginx's words for what is wrong, when null is returned; otherwise null.</param>
    public static CommandLine? Parse(IReadOnlyList<string> arguments, out string? error)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        CommandLine options = new();
        Queue<string> rest = new(arguments);
        error = null;
        while (error is null && rest.TryDequeue(out string? argument))
        {
            error = argument.StartsWith('-') ? options.ParseCluster(argument[1..], rest, out options) : $"invalid option: \"{argument}\"";
        }

        return error is null ? options : null;
    }

    /// <summary>Reads the letters of one argument, up to one that takes a value.</summary>
    private string? ParseCluster(string letters, Queue<string> rest, out CommandLine options)
    {
        options = this;
        for (int i = 0; i < letters.Length; i++)
        {
            if (options.WithSwitch(letters[i]) is CommandLine changed)
            {
                options = changed;
                continue;
            }

            if (Requirement(letters[i]) is not string requirement)
            {
                return $"invalid option: \"{letters[i]}\"";
            }

            string attached = letters[(i + 1)..];
            return attached.Length > 0 || rest.TryDequeue(out attached!)
                ? options.WithValue(letters[i], attached, out options)
                : $"option \"-{letters[i]}\" requires {requirement}";
        }

        return null;
    }

    /// <returns>Null if the letter is no switch.</returns>
    private CommandLine? WithSwitch(char letter) => letter switch
    {
        '?' or 'h' => this with { ShowVersion = true, ShowHelp = true },
        'v' => this with { ShowVersion = true },
        'V' => this with { ShowVersion = true, ShowBuild = true },
        't' => this with { Test = true },
        'T' => this with { Test = true, Dump = true },
        'q' => this with { Quiet = true },
        _ => null,
    };

    /// <returns>What the option's value is called, or null if the letter is no option with a value.</returns>
    private static string? Requirement(char letter) => letter switch
    {
        'c' or 'e' => "file name",
        'p' => "directory name",
        'g' or 's' => "parameter",
        _ => null,
    };

    private string? WithValue(char letter, string value, out CommandLine options)
    {
        options = letter switch
        {
            'p' => this with { Prefix = value },
            'c' => this with { ConfigFile = value },
            'e' => this with { ErrorLog = value },
            'g' => this with { Directives = value },
            _ => this with { Signal = value },
        };
        return letter == 's' && value is not ("stop" or "quit" or "reload" or "reopen") ? $"invalid option: \"-s {value}\"" : null;
    }
}
