using System.Globalization;
using Xunit;

namespace Postern.Protocol.Tests;

public class EscapingTests
{
    [Fact]
    public void WriteAuthHttp_EachByteValue_PercentOnlyWhereNginxDoes()
    {
        for (int value = 0; value < 256; value++)
        {
            string expected = value is <= 0x20 or '%' ? "%" + value.ToString("X2", CultureInfo.InvariantCulture) : ((char)value).ToString();
            Assert.Equal($"a{expected}b", Fragments.Written(writer => Escaping.WriteAuthHttp([(byte)'a', (byte)value, (byte)'b'], writer)));
        }
    }

    [Fact]
    public void WriteXtext_EachByteValue_PlusWhereTheReferenceSays()
    {
        for (int value = 0; value < 256; value++)
        {
            bool isSpecial = value is <= 0x20 or '+' or '=' or >= 0x7f;
            string expected = isSpecial ? "+" + value.ToString("X2", CultureInfo.InvariantCulture) : ((char)value).ToString();
            Assert.Equal(expected + expected, Fragments.Written(writer => Escaping.WriteXtext([(byte)value, (byte)value], writer)));
        }
    }

    [Theory]
    // N-06
    [InlineData("u r\r\nAuth-Pass: x\0%", "u%20r%0D%0AAuth-Pass:%20x%00%25")]
    [InlineData("", "")]
    public void WriteAuthHttp_Injection_StaysOneValue(string value, string expected) =>
        Assert.Equal(expected, Fragments.Written(writer => Escaping.WriteAuthHttp(Fragments.Bytes(value), writer)));

    [Theory]
    [InlineData("u+= \u00c3\u00a9", "u+2B+3D+20+C3+A9")]
    [InlineData("u\r\nDATA", "u+0D+0ADATA")]
    public void WriteXtext_ReferenceExamples(string value, string expected) =>
        Assert.Equal(expected, Fragments.Written(writer => Escaping.WriteXtext(Fragments.Bytes(value), writer)));
}
