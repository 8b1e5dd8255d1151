using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;

namespace Postern.Logging;

/// <summary>Builds one message for <see cref="ErrorLog.Write"/> in a buffer of the caller; what does not fit is cut off silently.</summary>
/// <remarks><c>LogLine line = new(stackalloc byte[LogLine.MaxBytes]);</c></remarks>
public ref struct LogLine
{
    /// <summary>Longest line of the error log, time stamp and line feed included, so a longer message is never seen.</summary>
    public const int MaxBytes = 2048;

    private readonly Span<byte> _buffer;
    private int _length;

    /// <param name="buffer">Where the message is built; owned by the caller, usually on the stack.</param>
    public LogLine(Span<byte> buffer)
    {
        _buffer = buffer;
        _length = 0;
    }

    /// <summary>The message so far.</summary>
    public readonly ReadOnlySpan<byte> Written => _buffer[.._length];

    /// <summary>Bytes of our own making (texts, numbers): copied as they are.</summary>
    public void Append(scoped ReadOnlySpan<byte> text)
    {
        int length = Math.Min(text.Length, _buffer.Length - _length);
        text[..length].CopyTo(_buffer[_length..]);
        _length += length;
    }

    /// <summary>Text of our own making, as UTF-8.</summary>
    public void Append(string text)
    {
        _ = Encoding.UTF8.TryGetBytes(text, _buffer[_length..], out int written);
        if (written == 0 && text.Length > 0)
        {
            // Not even the whole text fits: encode beside, copy what does.
            Append(Encoding.UTF8.GetBytes(text));
            return;
        }

        _length += written;
    }

    /// <summary>A decimal number.</summary>
    public void Append(long number)
    {
        Span<byte> digits = stackalloc byte[20];
        _ = Utf8Formatter.TryFormat(number, digits, out int written);
        Append(digits[..written]);
    }

    /// <summary>
    /// Bytes that came from elsewhere (client, backend, auth server, DNS): control characters, <c>"</c>, <c>\</c> and everything that
    /// is not ASCII become <c>\xNN</c>, so that one event is one line and the text between quotes ends where it seems to.
    /// </summary>
    public void AppendEscaped(scoped ReadOnlySpan<byte> foreign)
    {
        foreach (byte ch in foreign)
        {
            if (IsPlain(ch))
            {
                Append([ch]);
            }
            else if (_buffer.Length - _length >= 4)
            {
                Append([(byte)'\\', (byte)'x', HexDigit(ch >> 4), HexDigit(ch & 15)]);
            }
            else
            {
                // Half an escape would read as something else.
                return;
            }
        }
    }

    /// <summary>Text from elsewhere, escaped like bytes (in UTF-8).</summary>
    public void AppendEscaped(string foreign)
    {
        if (Ascii.IsValid(foreign) && foreign.Length <= MaxBytes)
        {
            Span<byte> bytes = stackalloc byte[foreign.Length];
            _ = Encoding.UTF8.GetBytes(foreign, bytes);
            AppendEscaped(bytes);
            return;
        }

        AppendEscaped(Encoding.UTF8.GetBytes(foreign));
    }

    /// <summary><c> (111: Connection refused)</c>, in the C library's words.</summary>
    /// <param name="errno">A Linux error number.</param>
    public void AppendErrno(int errno)
    {
        Append(" ("u8);
        Append(errno);
        Append(": "u8);
        Append(Marshal.GetPInvokeErrorMessage(errno));
        Append(")"u8);
    }

    private static bool IsPlain(byte ch) => ch is >= 0x20 and < 0x7f and not ((byte)'"' or (byte)'\\');

    private static byte HexDigit(int value) => "0123456789ABCDEF"u8[value];
}
