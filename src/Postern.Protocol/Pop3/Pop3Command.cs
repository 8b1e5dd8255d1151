using System.Text;

namespace Postern.Protocol.Pop3;

/// <summary>The commands understood before authentication (RFC 1939 section 4, RFC 2449, RFC 2595, RFC 5034).</summary>
public enum Pop3Command
{
    /// <summary>No known verb; never the command of a complete line.</summary>
    Unknown,
    User,
    Pass,
    Apop,
    Auth,
    Capa,
    Stls,
    Noop,
    Quit,
}

/// <summary>Parses one POP3 command before authentication.</summary>
/// <param name="capacity">Bytes a command may have, line end included.</param>
public sealed class Pop3CommandParser(int capacity) : CommandLineParser<Pop3Command>(capacity, MaxArguments)
{
    /// <summary>Most arguments accepted; a fourth makes the command invalid.</summary>
    public const int MaxArguments = 3;

    private const int VerbBytes = 4;

    private protected override Pop3Command Recognise(ReadOnlySpan<byte> verb)
    {
        if (verb.Length != VerbBytes)
        {
            return Pop3Command.Unknown;
        }

        Span<byte> upper = stackalloc byte[VerbBytes];
        _ = Ascii.ToUpper(verb, upper, out _);
        return upper switch
        {
            _ when upper.SequenceEqual("USER"u8) => Pop3Command.User,
            _ when upper.SequenceEqual("PASS"u8) => Pop3Command.Pass,
            _ when upper.SequenceEqual("APOP"u8) => Pop3Command.Apop,
            _ when upper.SequenceEqual("AUTH"u8) => Pop3Command.Auth,
            _ when upper.SequenceEqual("CAPA"u8) => Pop3Command.Capa,
            _ when upper.SequenceEqual("STLS"u8) => Pop3Command.Stls,
            _ when upper.SequenceEqual("NOOP"u8) => Pop3Command.Noop,
            _ when upper.SequenceEqual("QUIT"u8) => Pop3Command.Quit,
            _ => Pop3Command.Unknown,
        };
    }

    /// <summary>Names and passwords may hold spaces, at their end too (RFC 1939 section 7, PASS).</summary>
    private protected override bool TakesRestOfLine(Pop3Command command) => command is Pop3Command.User or Pop3Command.Pass;
}
