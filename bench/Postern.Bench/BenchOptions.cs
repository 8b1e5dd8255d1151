using System.Globalization;

namespace Postern.Bench;

/// <summary>The command line.</summary>
internal sealed record BenchOptions
{
    public const string Usage = """
        Usage: ./bench.sh [--rounds N] [--only NAME[,NAME...]] [--peer PATH] [--postern PATH]
                          [--log LEVEL] [--json FILE] [--sessions N]

          --rounds N      interleaved rounds; the table shows medians (default: 9)
          --only NAMES    only these measures; a name's beginning will do (login, memory, latency-1 ...)
          --peer PATH     another nginx (default: /usr/sbin/nginx)
          --postern PATH  another postern (default: out/postern)
          --log LEVEL     error_log level of both proxies (default: error)
          --sessions N    TLS logins per round and proxy, plain ones are three times as many (default: 1000)
          --json FILE     writes every figure of every round, too

        Exit status: 0 every goal holds, 1 one does not, 2 no result.
        """;

    public int Rounds { get; private init; } = 9;

    public IReadOnlyList<string> Only { get; private init; } = [];

    public string Peer { get; private init; } = "/usr/sbin/nginx";

    public string Postern { get; private init; } = "out/postern";

    public string LogLevel { get; private init; } = "error";

    public int Sessions { get; private init; } = 1000;

    public string? Json { get; private init; }

    /// <exception cref="FormatException">An unknown option or a bad value.</exception>
    public static BenchOptions Parse(string[] arguments)
    {
        if (arguments.Length % 2 != 0)
        {
            throw new FormatException(Usage);
        }

        var options = new BenchOptions();
        for (int i = 0; i < arguments.Length; i += 2)
        {
            string value = arguments[i + 1];
            options = arguments[i] switch
            {
                "--rounds" => options with { Rounds = int.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture) },
                "--only" => options with { Only = value.Split(',') },
                "--peer" => options with { Peer = value },
                "--postern" => options with { Postern = value },
                "--log" => options with { LogLevel = value },
                "--sessions" => options with { Sessions = int.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture) },
                "--json" => options with { Json = value },
                _ => throw new FormatException(Usage),
            };
        }

        return options;
    }

    public bool Wants(Measure measure) =>
        Only.Count == 0 || Only.Any(name => measure.Name.StartsWith(name, StringComparison.Ordinal));
}
