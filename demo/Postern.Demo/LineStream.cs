using System.Text;

namespace Postern.Demo;

/// <summary>
/// A connection read by lines and written as text; Latin-1, so that one character is one byte. Not safe for two readers at once.
/// </summary>
internal sealed class LineStream(Stream stream)
{
    // No command is longer; a client that sends no line end must not fill the memory.
    private const int MaxLineBytes = 64 * 1024;

    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _start;
    private int _end;

    /// <summary>A line without its CRLF or LF; null when the client closed or sent no line end for too long.</summary>
    public async Task<string?> ReadLineAsync(CancellationToken stop) =>
        await ReadWholeLineAsync(stop) is { } line ? line.TrimEnd('\n').TrimEnd('\r') : null;

    /// <summary>A line up to and including its LF; null as with <see cref="ReadLineAsync"/>.</summary>
    public async Task<string?> ReadWholeLineAsync(CancellationToken stop)
    {
        var line = new StringBuilder();
        while (true)
        {
            int feed = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            int take = feed < 0 ? _end - _start : feed + 1;
            line.Append(Encoding.Latin1.GetString(_buffer, _start, take));
            _start += take;
            if (feed >= 0)
            {
                return line.ToString();
            }

            if (line.Length > MaxLineBytes || !await FillAsync(stop))
            {
                return null;
            }
        }
    }

    /// <summary>Exactly so many bytes.</summary>
    /// <exception cref="EndOfStreamException">The client closed before.</exception>
    public async Task<string> ReadAsync(int count, CancellationToken stop)
    {
        byte[] bytes = new byte[count];
        int have = Math.Min(count, _end - _start);
        _buffer.AsSpan(_start, have).CopyTo(bytes);
        _start += have;
        await stream.ReadExactlyAsync(bytes.AsMemory(have), stop);
        return Encoding.Latin1.GetString(bytes);
    }

    public async Task WriteAsync(string text, CancellationToken stop) => await stream.WriteAsync(Encoding.Latin1.GetBytes(text), stop);

    private async Task<bool> FillAsync(CancellationToken stop)
    {
        _start = 0;
        _end = await stream.ReadAsync(_buffer, stop);
        return _end > 0;
    }
}
