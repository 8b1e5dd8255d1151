using System.Globalization;
using System.Text;
using Xunit;

namespace Postern.Logging.Tests;

public class LogLineTests
{
    [Fact]
    public void AppendEscaped_EachByteValue_OneLineOfAscii()
    {
        for (int value = 0; value < 256; value++)
        {
            bool isPlain = value is >= 0x20 and < 0x7f and not ('"' or '\\');
            string expected = isPlain ? ((char)value).ToString() : "\\x" + value.ToString("X2", CultureInfo.InvariantCulture);
            LogLine line = new(new byte[16]);
            line.AppendEscaped([(byte)'a', (byte)value, (byte)'b']);
            Assert.Equal($"a{expected}b", Encoding.Latin1.GetString(line.Written));
        }
    }

    [Fact]
    public void AppendEscaped_String_EscapesUtf8()
    {
        LogLine line = new(stackalloc byte[64]);
        line.AppendEscaped("a\u00e9\"\n");
        line.AppendEscaped(" plain");
        Assert.Equal("a\\xC3\\xA9\\x22\\x0A plain", Encoding.Latin1.GetString(line.Written));
    }

    [Fact]
    public void Append_NumbersAndTexts()
    {
        LogLine line = new(stackalloc byte[64]);
        line.Append("u8 "u8);
        line.Append("text ");
        line.Append(long.MinValue);
        Assert.Equal("u8 text -9223372036854775808", Encoding.Latin1.GetString(line.Written));
    }

    [Theory]
    [InlineData(111, " (111: Connection refused)")]
    [InlineData(110, " (110: Connection timed out)")]
    [InlineData(104, " (104: Connection reset by peer)")]
    [InlineData(32, " (32: Broken pipe)")]
    [InlineData(13, " (13: Permission denied)")]
    [InlineData(2, " (2: No such file or directory)")]
    [InlineData(24, " (24: Too many open files)")]
    [InlineData(99999, " (99999: Unknown error 99999)")]
    public void AppendErrno_SaysWhatTheCLibrarySays(int errno, string expected)
    {
        LogLine line = new(stackalloc byte[64]);
        line.AppendErrno(errno);
        Assert.Equal(expected, Encoding.Latin1.GetString(line.Written));
    }

    [Fact]
    public void Append_FullBuffer_CutsWithoutHalfEscapes()
    {
        LogLine line = new(stackalloc byte[10]);
        line.Append("12345678"u8);
        line.AppendEscaped("\n\n"u8);
        line.Append("abc");
        line.Append(123);
        Assert.Equal("12345678ab", Encoding.Latin1.GetString(line.Written));
    }

    [Fact]
    public void Append_LongStrings_AreCut()
    {
        LogLine line = new(new byte[LogLine.MaxBytes]);
        line.AppendEscaped(new string('\n', 5000));
        line.AppendEscaped(new string('x', 5000));
        line.Append(new string('y', 5000));
        Assert.Equal(LogLine.MaxBytes, line.Written.Length);
    }
}
