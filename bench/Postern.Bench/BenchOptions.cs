using System.Globalization;

namespace Postern.Bench;

/// <summary>The command line.</summary>
internal sealed record BenchOptions
{
    public const string Usage = """
        Usage: ./bench.sh [--rounds N] [--only NAME[,NAME...]] [--all] [--peer PATH] [--postern PATH]
                          [--log LEVEL] [--json FILE] [--sessions N]
               ./bench.sh --hold SESSIONS [--minutes N] [--rate N] [--postern PATH] [--log LEVEL]

          --rounds N      interleaved rounds; the table shows medians (default: 9)
          --only NAMES    only these measures; a name's beginning will do (login, memory, latency-1 ...)
          --all           HAProxy and Dovecot, too, where they can do the work (further columns)
          --peer PATH     another nginx (default: /usr/sbin/nginx)
          --postern PATH  another postern (default: out/postern)
          --log LEVEL     error_log level of both proxies (default: error, and a second table of logins at info)
          --sessions N    TLS logins per round and proxy, plain ones are three times as many (default: 1000)
          --json FILE     writes every figure of every round, too

          --hold N        holds N idle TLS sessions through postern while others log in and out (through several posterns
                          beside each other if the limit of descriptors is too low for one)
          --minutes N     for so long (default: 10)
          --rate N        logins per second meanwhile (default: 200)

        Exit status: 0 every goal holds, 1 one does not, 2 no result. With --hold: 0 no session was lost and memory stayed
        flat, 1 not so, 2 no result.
        """;

    public int Rounds { get; private init; } = 9;

    public IReadOnlyList<string> Only { get; private init; } = [];

    /// <summary>HAProxy and Dovecot are measured, too.</summary>
    public bool All { get; private init; }

    public string Peer { get; private init; } = "/usr/sbin/nginx";

    public string Postern { get; private init; } = "out/postern";

    /// <summary>Null = not said: at error, and the logins once more at info.</summary>
    public string? LogLevel { get; private init; }

    public int Sessions { get; private init; } = 1000;

    public string? Json { get; private init; }

    /// <summary>Idle sessions to hold; 0 = the table is wanted.</summary>
    public int Hold { get; private init; }

    public int Minutes { get; private init; } = 10;

    /// <summary>Logins per second beside the held sessions.</summary>
    public int Rate { get; private init; } = 200;

    /// <exception cref="FormatException">An unknown option, a bad value, or a program that is not there.</exception>
    public static BenchOptions Parse(string[] arguments)
    {
        var options = new BenchOptions();
        for (int i = 0; i < arguments.Length; i++)
        {
            string name = arguments[i];
            if (name == "--all")
            {
                options = options with { All = true };
                continue;
            }

            string value = ++i < arguments.Length ? arguments[i] : throw new FormatException(Usage);
            options = name switch
            {
                "--rounds" => options with { Rounds = Positive(value) },
                "--only" => options with { Only = Names(value) },
                "--peer" => options with { Peer = value },
                "--postern" => options with { Postern = value },
                "--log" => options with { LogLevel = value },
                "--sessions" => options with { Sessions = Positive(value) },
                "--json" => options with { Json = value },
                "--hold" => options with { Hold = Positive(value) },
                "--minutes" => options with { Minutes = Positive(value) },
                "--rate" => options with { Rate = Positive(value) },
                _ => throw new FormatException(Usage),
            };
        }

        string[] programs = [options.Postern, options.Peer];
        return Array.Find(programs, program => !File.Exists(program)) is { } missing
            ? throw new FormatException($"{missing} does not exist: ./bench.sh, from the project's folder, makes or installs what is compared")
            : options;
    }

    public bool Wants(Measure measure) => Only.Count == 0 || Only.Any(name => Begins(measure, name));

    private static int Positive(string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0
            ? number
            : throw new FormatException($"\"{value}\" is not a number above 0\n{Usage}");

    private static string[] Names(string value)
    {
        string[] names = value.Split(',');
        return Array.Find(names, name => !Measure.All.Any(measure => Begins(measure, name))) is { } unknown
            ? throw new FormatException(
                $"no measure's name begins with \"{unknown}\"; there are {string.Join(", ", Measure.All.Select(measure => measure.Name))}")
            : names;
    }

    private static bool Begins(Measure measure, string name) => measure.Name.StartsWith(name, StringComparison.Ordinal);
}
