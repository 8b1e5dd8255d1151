using System.Text;
using Postern.Config;

namespace Postern.Fuzz.Targets;

/// <summary>The configuration language and the conversions of its values.</summary>
internal sealed class ConfigTarget : IFuzzTarget
{
    public string Name => "config";

    public IReadOnlyList<string> Dictionary =>
        ["mail { ", "server { ", "listen 143;", "}", "{", ";", "\"", "'", "\\", "${", "#", "\n", "1w2d3h4m5s6ms", "10k", "10M", "2g", "on", "99999999999999999999"];

    public void Run(ReadOnlySpan<byte> input)
    {
        var lexer = new ConfigLexer(input.ToArray());
        int line = 1;
        while (true)
        {
            StatementEnd end = lexer.Read();
            Oracle.Holds(lexer.Line >= line && lexer.Line <= input.Count((byte)'\n') + 1, "a line that is not there");
            line = lexer.Line;
            if (lexer.Error is not null)
            {
                Oracle.Holds(lexer.ErrorLine >= 1 && lexer.ErrorLine <= line, "an error on a line that is not there");
                return;
            }

            foreach (string word in lexer.Words)
            {
                Oracle.Holds(Encoding.UTF8.GetByteCount(word) <= 3 * ConfigLexer.MaxWordBytes, "a word that is too long");
                Convert(word);
            }

            if (end == StatementEnd.EndOfText)
            {
                return;
            }
        }
    }

    private static void Convert(string word)
    {
        _ = ValueParsers.Flag(word);
        Oracle.Holds(ValueParsers.Number(word) is null or >= 0, "a negative number");
        Oracle.Holds(ValueParsers.Size(word) is null or >= 0, "a negative size");
        Oracle.Holds(ValueParsers.Offset(word) is null or >= 0, "a negative offset");
        Oracle.Holds(ValueParsers.Milliseconds(word) is not { } time || time >= TimeSpan.Zero, "a negative time");
        Oracle.Holds(ValueParsers.Seconds(word) is null or >= 0, "a negative time");
    }
}
