using CsCheck;
using Postern.Protocol.Sasl;
using Xunit;

namespace Postern.Protocol.Tests.Sasl;

public class SaslLineParserTests
{
    [Theory]
    [InlineData("AHUAcA==\r\n", "[AHUAcA==]")]
    [InlineData("AHUAcA==\n", "[AHUAcA==]")]
    [InlineData("abc  def ghi  \r\n", "[abc]")]
    [InlineData("\r\n", "[]")]
    [InlineData("\n\n", "[] []")]
    [InlineData(" abc\r\n", "[]")]
    [InlineData("   \r\n", "[]")]
    [InlineData(" abc def\r\n", "[]")]
    [InlineData(" abc def ghi\r\n", "Invalid")]
    [InlineData("a b c d\r\nx\r\n", "Invalid [x]")]
    [InlineData("a b c d e f g\r\nx\r\n", "Invalid [x]")]
    [InlineData("ab\rc\r\nx\r\n", "Invalid [x]")]
    [InlineData("ab\r\r\nx\r\n", "Invalid [x]")]
    [InlineData("\rab\n", "Invalid")]
    [InlineData("*\r\n", "[*]")]
    [InlineData("\"a b\"\r\n", "[\"a]")]
    [InlineData("{3+}\r\n", "[{3+}]")]
    [InlineData("abc", "")]
    [InlineData("12345678901234567890123456789012", "TooLong")]
    [InlineData("123456789012345678901234567890\r\n", "[123456789012345678901234567890]")]
    [InlineData("1234567890123456789012345678901\r\n", "TooLong")]
    public void Parse_ThreeWords_Cases(string input, string expected) => AssertLines(expected, input, 3);

    [Theory]
    [InlineData("1 2 3 4 5 6 7 8 9 a b\r\n", "[1]")]
    [InlineData("1 2 3 4 5 6 7 8 9 a b c\r\n", "Invalid")]
    public void Parse_ElevenWords_Smtp(string input, string expected) => AssertLines(expected, input, 11);

    [Fact]
    public void Parse_ByteByByte_LooksAtEachByteOnce()
    {
        byte[] line = Fragments.Bytes(new string('x', 4000) + "\r\n");
        SaslLineParser parser = new(4096, 3);
        _ = Play(line, [.. Enumerable.Range(1, line.Length)], parser);
        Assert.Equal(line.Length, parser.ExaminedBytes);
    }

    [Fact]
    public void Parse_AnyBytes_SameOutcomeHoweverSplit() => Fragments.Mostly("ab \r\n\n ").Array[0, 60].Sample(bytes =>
    {
        string whole = Play(bytes, [bytes.Length], new SaslLineParser(32, 3));
        return Fragments.Ways(bytes.Length).All(growth => Play(bytes, growth, new SaslLineParser(32, 3)) == whole);
    }, iter: Fragments.Samples);

    private static void AssertLines(string expected, string input, int maxWords) =>
        Fragments.AssertAll(expected, input, (bytes, growth) => Play(bytes, growth, new SaslLineParser(32, maxWords)));

    private static string Play(byte[] input, IReadOnlyList<int> growth, SaslLineParser parser)
    {
        List<string> lines = [];
        int start = 0;
        foreach (int length in growth)
        {
            SaslLine line = default;
            while (start < length && (line = parser.Parse(input.AsSpan(start..length))).Status != SaslLineStatus.NeedMore)
            {
                string word = Fragments.Text(line.Word.In(input.AsSpan(start)));
                lines.Add(line.Status == SaslLineStatus.Complete ? $"[{word}]" : line.Status.ToString());
                if (line.Status == SaslLineStatus.TooLong)
                {
                    return string.Join(' ', lines);
                }

                start += line.Consumed;
                parser.Reset();
            }
        }

        return string.Join(' ', lines);
    }
}
