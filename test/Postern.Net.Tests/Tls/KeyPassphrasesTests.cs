using System.Text;
using Postern.Net.Tls;
using Postern.TestKit;
using Xunit;

namespace Postern.Net.Tests.Tls;

public sealed class KeyPassphrasesTests
{
    [Theory]
    [InlineData("one\ntwo\n", "one|two")]
    [InlineData("one\r\ntwo", "one|two")]
    [InlineData("\n\r\n\none\n\n", "one")]
    [InlineData(" one \n", " one ")]
    [InlineData("", "")]
    [InlineData("\n\n", "")]
    public void TryRead_Lines_AreThePassphrases(string text, string expected)
    {
        using var folder = new TemporaryFolder();

        KeyPassphrases? read = KeyPassphrases.TryRead(folder.Write("p", text), out _);

        Assert.Equal(expected, string.Join('|', read!.Lines.Select(Encoding.ASCII.GetString)));
    }

    [Fact]
    public void TryRead_LongLines_LimitIsOnTheLineNotTheFile()
    {
        using var folder = new TemporaryFolder();
        string line = new('x', 4095);

        Assert.Equal(3, KeyPassphrases.TryRead(folder.Write("p", $"{line}\n{line}\n{line}"), out _)!.Lines.Count);
        string path = folder.Write("q", $"short\n{line}x\n");
        Assert.Null(KeyPassphrases.TryRead(path, out string fault));
        Assert.Equal($"too long line in \"{path}\"", fault);
    }

    [Fact]
    public void Clear_WipesThem()
    {
        using var folder = new TemporaryFolder();
        KeyPassphrases read = KeyPassphrases.TryRead(folder.Write("p", "secret"), out _)!;
        byte[] line = read.Lines[0];

        read.Clear();

        Assert.Empty(read.Lines);
        Assert.All(line, value => Assert.Equal(0, value));
    }
}
