using System.Text;

namespace Postern.Config;

/// <summary>Level of a message about the configuration, most severe first.</summary>
public enum ConfigSeverity
{
    /// <summary>The configuration cannot be used.</summary>
    Emerg,

    /// <summary>A file could not be read.</summary>
    Crit,

    /// <summary>The configuration is used, though something in it failed.</summary>
    Error,

    /// <summary>The configuration is used, but not all of it means what it says.</summary>
    Warn,

    /// <summary>For the log only; never shown on standard error.</summary>
    Notice,
}

/// <summary>One message about the configuration.</summary>
/// <param name="Severity">Emerg and Crit make the configuration unusable.</param>
/// <param name="Text">The message without level and position.</param>
/// <param name="Position">What the message is about.</param>
public sealed record ConfigMessage(ConfigSeverity Severity, string Text, ConfigPosition Position)
{
    /// <summary>nginx cuts a message text at this many bytes; the position behind it stays whole.</summary>
    private const int MaxBytes = 1024;

    /// <summary>The configuration cannot be used.</summary>
    public bool IsError => Severity is ConfigSeverity.Emerg or ConfigSeverity.Crit;

    /// <summary>The line as nginx shows it behind <c>nginx: </c>: <c>[emerg] TEXT in FILE:LINE</c>.</summary>
    public string Render()
    {
        string level = Severity switch
        {
            ConfigSeverity.Emerg => "emerg",
            ConfigSeverity.Crit => "crit",
            ConfigSeverity.Error => "error",
            ConfigSeverity.Warn => "warn",
            _ => "notice",
        };
        return $"[{level}] {Limit(Text)}{Position}";
    }

    private static string Limit(string text)
    {
        if (Encoding.UTF8.GetByteCount(text) <= MaxBytes)
        {
            return text;
        }

        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return Encoding.UTF8.GetString(bytes, 0, MaxBytes);
    }
}
