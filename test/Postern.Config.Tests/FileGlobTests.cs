using Xunit;

namespace Postern.Config.Tests;

public sealed class FileGlobTests
{
    [Theory]
    [InlineData("*.conf", "a.conf", true)]
    [InlineData("*.conf", ".conf", false)]
    [InlineData(".*", ".conf", true)]
    [InlineData("*", "", true)]
    [InlineData("a*b*c", "aXbYbZc", true)]
    [InlineData("a*b*c", "aXcYb", false)]
    [InlineData("?", "a", true)]
    [InlineData("?", "ab", false)]
    [InlineData("[a-c]x", "bx", true)]
    [InlineData("[!a-c]x", "bx", false)]
    [InlineData("[^a-c]x", "dx", true)]
    [InlineData("[]a]", "]", true)]
    [InlineData("[a-]", "-", true)]
    [InlineData("[a", "[a", true)]
    [InlineData("\\*", "*", true)]
    [InlineData("\\*", "a", false)]
    public void Matches(string pattern, string name, bool expected) => Assert.Equal(expected, FileGlob.Matches(pattern, name));

    [Fact]
    public void Expand_SeveralComponents_FindsFilesInByteOrder()
    {
        using TemporaryFolder folder = new();
        folder.Write("b/2.conf", "");
        folder.Write("b/10.conf", "");
        folder.Write("a/3.conf", "");
        folder.Write("a/3.txt", "");

        Assert.Equal(
            [folder.Path + "a/3.conf", folder.Path + "b/10.conf", folder.Path + "b/2.conf"],
            FileGlob.Expand(folder.Path + "[ab]/*.conf"));
    }

    [Fact]
    public void Expand_NoSuchFolder_IsEmpty() => Assert.Empty(FileGlob.Expand("/nonexistent/*/x*"));
}
