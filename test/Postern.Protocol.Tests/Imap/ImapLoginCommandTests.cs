using System.Buffers;
using CsCheck;
using Postern.Protocol.Imap;
using Xunit;

namespace Postern.Protocol.Tests.Imap;

public class ImapLoginCommandTests
{
    [Theory]
    [InlineData("user", "pass", "a LOGIN \"user\" \"pass\"\r\n")]
    [InlineData("", "", "a LOGIN \"\" \"\"\r\n")]
    [InlineData("u\"\\", "\\\\p q", "a LOGIN \"u\\\"\\\\\" \"\\\\\\\\p q\"\r\n")]
    [InlineData("{3}", "(%*", "a LOGIN \"{3}\" \"(%*\"\r\n")]
    public void TryWriteQuoted_QuotableStrings_OneLine(string user, string password, string expected)
    {
        Assert.Equal(expected, Fragments.Written(
            writer => Assert.True(ImapLoginCommand.TryWriteQuoted("a"u8, Fragments.Bytes(user), Fragments.Bytes(password), writer))));
    }

    [Fact]
    public void TryWriteQuoted_EachByteValue_QuotedOrRefused()
    {
        for (int value = 0; value < 256; value++)
        {
            byte[] text = [(byte)'x', (byte)value];
            bool isQuotable = value is not (0 or '\r' or '\n') && value < 0x80;
            ArrayBufferWriter<byte> writer = new();
            Assert.Equal(isQuotable, ImapLoginCommand.TryWriteQuoted("a"u8, text, "p"u8, writer));
            Assert.Equal(isQuotable, ImapLoginCommand.TryWriteQuoted("a"u8, "u"u8, text, new ArrayBufferWriter<byte>()));
            if (isQuotable)
            {
                string parsed = ImapTranscript.Play(writer.WrittenSpan.ToArray(), [writer.WrittenCount]);
                Assert.Equal($"a Login[{Fragments.Text(text)}][p]", parsed);
            }
            else
            {
                Assert.Equal(0, writer.WrittenCount);
            }
        }
    }

    [Fact]
    public void TryWriteQuoted_AtTheLimit_CountsEscapesAndLineEnd()
    {
        // a LOGIN "…" "" CRLF
        int longest = ImapLoginCommand.MaxQuotedBytes - "a LOGIN \"\" \"\"\r\n".Length;
        ArrayBufferWriter<byte> accepted = new();
        Assert.True(ImapLoginCommand.TryWriteQuoted("a"u8, Fragments.Bytes(new string('u', longest)), default, accepted));
        Assert.Equal(ImapLoginCommand.MaxQuotedBytes, accepted.WrittenCount);
        ArrayBufferWriter<byte> refused = new();
        Assert.False(ImapLoginCommand.TryWriteQuoted("a"u8, Fragments.Bytes(new string('u', longest + 1)), default, refused));
        Assert.False(ImapLoginCommand.TryWriteQuoted("a"u8, Fragments.Bytes(new string('u', longest - 1) + "\""), default, refused));
        Assert.Equal(0, refused.WrittenCount);
    }

    [Fact]
    public void TryWriteQuoted_AnyAscii_RoundTrips()
    {
        Gen<string> ascii = Gen.String[Gen.Char[(char)1, (char)0x7f], 0, 50];
        Gen.Select(ascii, ascii).Sample((user, password) =>
        {
            ArrayBufferWriter<byte> writer = new();
            return ImapLoginCommand.TryWriteQuoted("t"u8, Fragments.Bytes(user), Fragments.Bytes(password), writer)
                ? ImapTranscript.Play(writer.WrittenSpan.ToArray(), [writer.WrittenCount]) == $"t Login[{user}][{password}]"
                : (user + password).IndexOfAny(['\r', '\n']) >= 0;
        });
    }

    [Fact]
    public void WriteLiteralSteps_AnyBytes_AsTheReferenceDialogue()
    {
        Assert.Equal("a LOGIN {4}\r\n", Fragments.Written(writer => ImapLoginCommand.WriteLiteralStart("a"u8, 4, writer)));
        Assert.Equal("u\r\n\0 {2}\r\n", Fragments.Written(writer => ImapLoginCommand.WriteLiteralUser("u\r\n\0"u8, 2, writer)));
        Assert.Equal("p\u00ff\r\n", Fragments.Written(writer => ImapLoginCommand.WriteLiteralPassword([(byte)'p', 0xff], writer)));
    }
}
