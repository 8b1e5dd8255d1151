namespace Postern.Config;

/// <summary>Where in the configuration something stands.</summary>
/// <param name="File">Path as opened; null for the command line and for checks without a position.</param>
/// <param name="Line">One-based line; 0 when there is no file.</param>
/// <param name="FromCommandLine">The text came with <c>-g</c>.</param>
public readonly record struct ConfigPosition(string? File, int Line, bool FromCommandLine = false)
{
    /// <summary>Checks of the configuration as a whole.</summary>
    public static ConfigPosition None => default;

    /// <summary>The directives of <c>-g</c>.</summary>
    public static ConfigPosition CommandLine => new(null, 0, true);

    /// <summary>The tail nginx puts behind a message: <c> in FILE:LINE</c>, <c> in command line</c>, or nothing.</summary>
    public override string ToString() => this switch
    {
        { FromCommandLine: true } => " in command line",
        { File: null } => "",
        _ => string.Create(System.Globalization.CultureInfo.InvariantCulture, $" in {File}:{Line}"),
    };
}
