using System.Text;
using CsCheck;
using Xunit;

namespace Postern.Config.Tests;

public sealed class ConfigLexerTests
{
    private const string Special = "{};\"'\\$# \n)ab";

    [Theory]
    [InlineData("a b;", "a|b")]
    [InlineData("a\n\t\r b  c ;", "a|b|c")]
    [InlineData("a # b;\n c;", "a|c")]
    [InlineData("a#b;", "a#b")]
    [InlineData("a \"b c;{}#\n'd\" 'e\"f';", "a|b c;{}#\n'd|e\"f")]
    [InlineData("a b\"c d'e;", "a|b\"c|d'e")]
    [InlineData("a \"\" '';", "a||")]
    [InlineData("a \"b\")c;", "a|b|)c")]
    [InlineData("a \\\"b \\'c \\\\d \\t \\r \\n;", "a|\"b|'c|\\d|\t|\r|\n")]
    [InlineData("a b\\ c \\;d \\#e \\x;", "a|b\\ c|\\;d|\\#e|\\x")]
    [InlineData("a \"b\\\"c\" 'd\\'e' \"f\\'g\";", "a|b\"c|d'e|f'g")]
    [InlineData("a ${b}c $${d} $e;", "a|${b}c|$${d}|$e")]
    [InlineData("a b}c;", "a|b}c")]
    [InlineData("$hostname;", "$hostname")]
    public void Read_Statement_SplitsWords(string text, string words)
    {
        ConfigLexer lexer = Lexer(text);

        Assert.Equal(StatementEnd.Semicolon, lexer.Read());
        Assert.Equal(words.Split('|'), lexer.Words);
        Assert.Equal(StatementEnd.EndOfText, lexer.Read());
    }

    [Theory]
    [InlineData("a{", "a")]
    [InlineData("a b{", "a|b")]
    [InlineData("a $b{", "a|$b")]
    [InlineData("a \"b\"{", "a|b")]
    [InlineData("a $\\{b{", "a|$\\{b")]
    public void Read_Brace_OpensBlock(string text, string words)
    {
        ConfigLexer lexer = Lexer(text);

        Assert.Equal(StatementEnd.BlockStart, lexer.Read());
        Assert.Equal(words.Split('|'), lexer.Words);
    }

    [Fact]
    public void Read_ClosingBraceAlone_ClosesBlock() => Assert.Equal(StatementEnd.BlockEnd, Lexer(" # comment\n } ").Read());

    [Theory]
    [InlineData(";", "unexpected \";\"", 1)]
    [InlineData("\n{", "unexpected \"{\"", 2)]
    [InlineData("a }", "unexpected \"}\"", 1)]
    [InlineData("a \"b\"c;", "unexpected \"c\"", 1)]
    [InlineData("a \"b\"}", "unexpected \"}\"", 1)]
    [InlineData("a 'b'#", "unexpected \"#\"", 1)]
    [InlineData("a", "unexpected end of file, expecting \";\" or \"}\"", 1)]
    [InlineData("a\n\"b\n", "unexpected end of file, expecting \";\" or \"}\"", 3)]
    [InlineData("a \\", "unexpected end of file, expecting \";\" or \"}\"", 1)]
    public void Read_BrokenText_SaysNginxsWords(string text, string error, int line)
    {
        ConfigLexer lexer = Lexer(text);

        Assert.Equal(StatementEnd.Error, lexer.Read());
        Assert.Equal((error, line), (lexer.Error, lexer.ErrorLine));
    }

    [Fact]
    public void Read_ParameterBreaksOff_SaysParameter()
    {
        ConfigLexer lexer = new("pid x"u8.ToArray(), isParameter: true);

        Assert.Equal(StatementEnd.Error, lexer.Read());
        Assert.Equal("unexpected end of parameter, expecting \";\"", lexer.Error);
    }

    [Theory]
    [InlineData("", 4095, null)]
    [InlineData("", 4096, "too long parameter \"xxxxxxxxxx...\" started")]
    [InlineData("\"", 4094, null)]
    [InlineData("\"", 4095, "too long parameter \"xxxxxxxxxx...\" started")]
    [InlineData("\"", 4096, "too long parameter, probably missing terminating \"\"\" character")]
    [InlineData("'", 4096, "too long parameter, probably missing terminating \"'\" character")]
    public void Read_LongWord_MustFitNginxsBuffer(string quote, int length, string? error)
    {
        ConfigLexer lexer = Lexer($"a\n\n{quote}{new string('x', length)}{quote};\n\n");

        Assert.Equal(error is null ? StatementEnd.Semicolon : StatementEnd.Error, lexer.Read());
        Assert.Equal(error, lexer.Error);
        Assert.Equal(error is null ? 0 : 3, lexer.ErrorLine);
    }

    [Fact]
    public void Read_LongCommentsAndBlanks_HaveNoLimit()
    {
        ConfigLexer lexer = Lexer($"a #{new string('x', 9000)}\n{new string(' ', 9000)} b;");

        Assert.Equal(StatementEnd.Semicolon, lexer.Read());
        Assert.Equal(["a", "b"], lexer.Words);
    }

    [Fact]
    public void Line_AfterStatement_IsThatOfTheTerminator()
    {
        ConfigLexer lexer = Lexer("a\n\"b\nc\"\nd\\\ne\n;\n");

        lexer.Read();

        Assert.Equal(6, lexer.Line);
    }

    [Fact]
    public void Read_QuotedWords_ComeBackAsWritten() =>
        Gen.String[Gen.Char[' ', '~'], 0, 40].List[1, 5].Sample(words =>
        {
            string text = string.Join(' ', words.Select(word => '"' + word.Replace("\\", "\\\\").Replace("\"", "\\\"") + '"')) + ";";
            ConfigLexer lexer = Lexer(text);
            return lexer.Read() == StatementEnd.Semicolon && lexer.Words.SequenceEqual(words);
        });

    [Fact]
    public void Read_AnyBytes_EndsWithoutThrowing() =>
        Gen.OneOf(Gen.Byte, Gen.Int[0, Special.Length - 1].Select(i => (byte)Special[i])).Array[0, 200].Sample(bytes =>
        {
            ConfigLexer lexer = new(bytes);
            for (int statements = 0; statements <= bytes.Length; statements++)
            {
                if (lexer.Read() is StatementEnd.EndOfText or StatementEnd.Error)
                {
                    return true;
                }
            }

            return false;
        });

    private static ConfigLexer Lexer(string text) => new(Encoding.UTF8.GetBytes(text));
}
