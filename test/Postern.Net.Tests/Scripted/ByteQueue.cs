using System.Text;

namespace Postern.Net.Tests.Scripted;

/// <summary>Bytes on their way, first in first out. Allocates only to grow.</summary>
internal sealed class ByteQueue
{
    private byte[] _bytes = new byte[4096];
    private int _start;
    private int _end;

    public int Length => _end - _start;

    public void Add(ReadOnlySpan<byte> bytes)
    {
        if (_bytes.Length - _end < bytes.Length)
        {
            byte[] target = _bytes.Length >= 2 * (Length + bytes.Length) ? _bytes : new byte[2 * (Length + bytes.Length)];
            _bytes.AsSpan(_start, Length).CopyTo(target);
            (_bytes, _start, _end) = (target, 0, Length);
        }

        bytes.CopyTo(_bytes.AsSpan(_end));
        _end += bytes.Length;
    }

    /// <summary>Moves up to so many bytes into the target.</summary>
    public int Take(Span<byte> target)
    {
        int count = Math.Min(target.Length, Length);
        _bytes.AsSpan(_start, count).CopyTo(target);
        Drop(count);
        return count;
    }

    /// <summary>The next bytes, valid until the queue is changed.</summary>
    public ReadOnlySpan<byte> Peek(int count) => _bytes.AsSpan(_start, Math.Min(count, Length));

    public void Drop(int count)
    {
        _start += count;
        if (_start == _end)
        {
            _start = _end = 0;
        }
    }

    public byte[] TakeAll()
    {
        byte[] all = Peek(Length).ToArray();
        Drop(all.Length);
        return all;
    }

    /// <summary>Empties the queue; each byte stands for itself.</summary>
    public string TakeText() => Encoding.Latin1.GetString(TakeAll());
}
