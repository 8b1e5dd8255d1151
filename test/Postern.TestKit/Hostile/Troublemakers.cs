namespace Postern.TestKit.Hostile;

/// <summary>Bytes that broke other programs, one character a byte.</summary>
public static class Troublemakers
{
    /// <summary>Logins and passwords: quotes, NUL, line ends with a command behind, cut UTF-8, literals, SQL, LDAP.</summary>
    public static IReadOnlyList<string> Values { get; } =
    [
        "\0", "a\0b", "\"", "\\", "\\\"", "a\"b", "\r\n", "a\r\nb NOOP\r\n", "u\r\nAuth-Status: OK", "u\nQUIT\n", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xff\xfe", "\xc0\x80",
        "{5}", "{5+}\r\nabcde", "(", "*", "*)(uid=*", "' OR ''='", "%", "%0D%0A", "+0D", "=", "u LOGIN=root", "user@x NAME=y", " ", "\t", "\x7f", "..", "-",
    ];

    /// <summary>What an auth server or a backend may say in place of the rest of its reply.</summary>
    public static IReadOnlyList<string> Garbage { get; } =
    [
        "\r\n\r\n", "\n", "\0", string.Concat(Enumerable.Range(0, 256).Select(value => (char)value)), new string('x', 5000),
        string.Concat(Enumerable.Repeat("* OK\r\n+OK\r\n250 ok\r\n", 300)) + "x",
    ];
}
