namespace Postern.Config;

/// <summary>The blocks of the configuration in which a directive may stand.</summary>
[Flags]
public enum ConfigContexts
{
    None = 0,

    /// <summary>Outside all blocks.</summary>
    Main = 1,

    /// <summary><c>events { }</c></summary>
    Events = 2,

    /// <summary><c>mail { }</c></summary>
    Mail = 4,

    /// <summary><c>server { }</c> inside <c>mail { }</c></summary>
    Server = 8,

    /// <summary>Directives a server inherits from the mail block.</summary>
    MailAndServer = Mail | Server,

    Everywhere = Main | Events | Mail | Server,
}
