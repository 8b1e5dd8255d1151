using System.Net.Sockets;
using System.Text;

namespace Postern.Demo;

/// <summary>A buffered stream of lines and counted bytes.</summary>
internal sealed class LineStream(NetworkStream stream)
{
    /// <summary>Longest line accepted.</summary>
    private const int MaxLineBytes = 64 * 1024;

    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _start;
    private int _end;

    /// <summary>One line without its line end, as Latin-1 so that every byte survives; null at the end of the stream.</summary>
    public async ValueTask<string?> ReadLineAsync(CancellationToken stop)
    {
        using var line = new MemoryStream();
        while (true)
        {
            int feed = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            int take = feed < 0 ? _end - _start : feed + 1;
            line.Write(_buffer, _start, take);
            _start += take;
            if (feed >= 0)
            {
                return Encoding.Latin1.GetString(line.GetBuffer(), 0, (int)line.Length).TrimEnd('\r', '\n');
            }

            if (line.Length > MaxLineBytes)
            {
                throw new FormatException("line too long");
            }

            if (!await FillAsync(stop).ConfigureAwait(false))
            {
                return null;
            }
        }
    }

    /// <summary>Exactly this many bytes.</summary>
    /// <exception cref="EndOfStreamException">The peer closed before.</exception>
    public async ValueTask<byte[]> ReadBytesAsync(int count, CancellationToken stop)
    {
        byte[] bytes = new byte[count];
        int have = Math.Min(count, _end - _start);
        _buffer.AsSpan(_start, have).CopyTo(bytes);
        _start += have;
        await stream.ReadExactlyAsync(bytes.AsMemory(have), stop).ConfigureAwait(false);
        return bytes;
    }

    public ValueTask WriteAsync(string text, CancellationToken stop) => stream.WriteAsync(Encoding.Latin1.GetBytes(text), stop);

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken stop) => stream.WriteAsync(bytes, stop);

    private async ValueTask<bool> FillAsync(CancellationToken stop)
    {
        _start = 0;
        _end = await stream.ReadAsync(_buffer, stop).ConfigureAwait(false);
        return _end > 0;
    }
}
