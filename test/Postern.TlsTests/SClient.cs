using System.Globalization;
using Postern.TestKit;

namespace Postern.TlsTests;

/// <summary>One connection of <c>openssl s_client</c>: what it said, line feeds only.</summary>
public sealed record SClient(string Output)
{
    public bool Resumed => Output.Contains("\nReused, ", StringComparison.Ordinal);

    public bool Shaken => Resumed || Output.Contains("\nNew, TLS", StringComparison.Ordinal);

    /// <summary>TLS 1.2: digits of the session id in the ServerHello.</summary>
    public int SessionIdDigits => Line("    Session-ID: ").Trim().Length;

    /// <summary>TLS 1.3 messages NewSessionTicket.</summary>
    public int Tickets => Output.Split("Post-Handshake New Session Ticket arrived").Length - 1;

    public string Line(string start) =>
        Output.Split('\n').FirstOrDefault(line => line.StartsWith(start, StringComparison.Ordinal))?[start.Length..] ?? "";

    /// <summary>
    /// $1 port, $2 input, $3 what has to be read before the input is sent, $4 seconds between them, $5 arguments. nginx leaves a
    /// command unread that comes in the same flight as the end of the handshake.
    /// </summary>
    private const string Script = """
        out=$(mktemp)
        trap 'rm -f "$out"' EXIT
        (while ! grep -aqE "$3" "$out"; do sleep 0.05; done; sleep "$4"; printf "$2") |
          { openssl s_client -connect "127.0.0.1:$1" -ign_eof $5; echo ENDED; } > "$out" 2>&1
        cat "$out"
        """;

    /// <summary>Connects, says LOGOUT, and reads until the server has closed.</summary>
    /// <param name="port">Of 127.0.0.1.</param>
    /// <param name="arguments">Further arguments of s_client.</param>
    /// <param name="input">What is sent, in place of LOGOUT, as printf(1) understands it.</param>
    public static async Task<SClient> ConnectAsync(int port, string arguments, string input = @"z LOGOUT\r\n")
    {
        // After STARTTLS there is no greeting that would tell that the server has completed the handshake too.
        bool upgrade = arguments.Contains("-starttls", StringComparison.Ordinal);
        string awaited = upgrade ? @"Verify return code|\* BYE|ENDED" : @"\* OK|\* BYE|\+OK POP3 ready| ESMTP ready|ENDED";
        (_, string output) = await RunningProcess.RunAsync(
            "sh",
            ["-c", Script, "sh", port.ToString(CultureInfo.InvariantCulture), input, awaited, upgrade ? "0.5" : "0", arguments],
            TimeSpan.FromSeconds(30));
        return new SClient("\n" + output.Replace("\r", "", StringComparison.Ordinal));
    }
}
