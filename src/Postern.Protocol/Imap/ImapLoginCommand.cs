using System.Buffers;
using System.Buffers.Text;

namespace Postern.Protocol.Imap;

/// <summary>
/// The LOGIN postern sends to an upstream (RFC 9051 section 6.2.3): in one line with quoted strings where the bytes allow it, which saves
/// two round trips; otherwise in three steps with synchronising literals, which carry any byte.
/// </summary>
public static class ImapLoginCommand
{
    /// <summary>Longest quoted command, CRLF included: RFC 7162 section 4 wants servers to allow lines of 8192 bytes.</summary>
    public const int MaxQuotedBytes = 8000;

    private static readonly SearchValues<byte> _unquotable = SearchValues.Create(
        [0, (byte)'\r', (byte)'\n', .. Enumerable.Range(0x80, 0x80).Select(value => (byte)value)]);

    private static readonly SearchValues<byte> _escaped = SearchValues.Create("\"\\"u8);

    /// <summary>Writes <c>TAG LOGIN "user" "password"</c> CRLF.</summary>
    /// <returns>
    /// False, with nothing written, if a string holds CR, LF, NUL or a byte from 0x80, or the line would exceed
    /// <see cref="MaxQuotedBytes"/>: use literals.
    /// </returns>
    public static bool TryWriteQuoted(
        ReadOnlySpan<byte> tag, ReadOnlySpan<byte> user, ReadOnlySpan<byte> password, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        const int fixedBytes = 14; // SP LOGIN SP "" SP "" CRLF
        long total = fixedBytes + (long)tag.Length + user.Length + password.Length + CountEscaped(user) + CountEscaped(password);
        if (total > MaxQuotedBytes || user.ContainsAny(_unquotable) || password.ContainsAny(_unquotable))
        {
            return false;
        }

        destination.Write(tag);
        destination.Write(" LOGIN \""u8);
        WriteEscaped(user, destination);
        destination.Write("\" \""u8);
        WriteEscaped(password, destination);
        destination.Write("\"\r\n"u8);
        return true;
    }

    /// <summary>First step with literals: <c>TAG LOGIN {n}</c> CRLF.</summary>
    public static void WriteLiteralStart(ReadOnlySpan<byte> tag, int userBytes, IBufferWriter<byte> destination)
    {
        destination.Write(tag);
        destination.Write(" LOGIN"u8);
        WriteAnnouncement(userBytes, destination);
    }

    /// <summary>Second step, after the upstream's continuation: the user and <c> {m}</c> CRLF.</summary>
    public static void WriteLiteralUser(ReadOnlySpan<byte> user, int passwordBytes, IBufferWriter<byte> destination)
    {
        destination.Write(user);
        WriteAnnouncement(passwordBytes, destination);
    }

    /// <summary>Third step, after the upstream's continuation: the password and CRLF.</summary>
    public static void WriteLiteralPassword(ReadOnlySpan<byte> password, IBufferWriter<byte> destination)
    {
        destination.Write(password);
        destination.Write("\r\n"u8);
    }

    private static void WriteAnnouncement(int bytes, IBufferWriter<byte> destination)
    {
        Span<byte> digits = stackalloc byte[11];
        _ = Utf8Formatter.TryFormat(bytes, digits, out int length);
        destination.Write(" {"u8);
        destination.Write(digits[..length]);
        destination.Write("}\r\n"u8);
    }

    private static void WriteEscaped(ReadOnlySpan<byte> text, IBufferWriter<byte> destination)
    {
        int special;
        while ((special = text.IndexOfAny(_escaped)) >= 0)
        {
            destination.Write(text[..special]);
            destination.Write("\\"u8);
            destination.Write(text.Slice(special, 1));
            text = text[(special + 1)..];
        }

        destination.Write(text);
    }

    private static int CountEscaped(ReadOnlySpan<byte> text) => text.Count((byte)'"') + text.Count((byte)'\\');
}
