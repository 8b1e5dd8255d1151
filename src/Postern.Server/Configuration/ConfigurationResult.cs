using Postern.Config;

namespace Postern.Server.Configuration;

/// <summary>What loading a configuration came to.</summary>
public sealed record ConfigurationResult
{
    /// <summary>Null if there was any error.</summary>
    public MainSettings? Settings { get; init; }

    /// <summary>The main configuration file, absolute.</summary>
    public required string ConfigPath { get; init; }

    /// <summary>Messages of the reading, in order. Without an error among them the syntax is ok.</summary>
    public required IReadOnlyList<ConfigMessage> Messages { get; init; }

    /// <summary>Messages of the checks made after that on the configuration as a whole.</summary>
    public required IReadOnlyList<ConfigMessage> FinalMessages { get; init; }

    /// <summary>Every file read, once, in order of reading (<c>-T</c>).</summary>
    public required IReadOnlyList<ConfigFile> Files { get; init; }

    /// <summary>Whether every file could be read and every directive was right.</summary>
    public bool IsSyntaxOk => !Messages.Any(message => message.IsError);

    /// <summary>All messages, in order.</summary>
    public IEnumerable<ConfigMessage> AllMessages => Messages.Concat(FinalMessages);
}
