using System.Text;

namespace Postern.TestKit;

/// <summary>Bytes as text and back: Latin-1, so that every byte is one character.</summary>
public static class Text
{
    public static string Of(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    public static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    /// <summary>The text with everything that does not print written as an escape, as scenario files have it.</summary>
    public static string Show(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var shown = new StringBuilder();
        foreach (char c in text)
        {
            shown.Append(c switch
            {
                '\r' => @"\r",
                '\n' => @"\n",
                '\t' => @"\t",
                '\\' => @"\\",
                '\0' => @"\0",
                < ' ' or > '~' => $@"\x{(int)c:X2}",
                _ => c.ToString(),
            });
        }

        return shown.ToString();
    }
}
