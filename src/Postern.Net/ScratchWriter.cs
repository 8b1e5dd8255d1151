using System.Buffers;

namespace Postern.Net;

/// <summary>A growing byte buffer of one loop, cleared at each <see cref="Reset"/> because passwords pass through it.</summary>
public sealed class ScratchWriter : IBufferWriter<byte>
{
    private byte[] _buffer = SecretBuffers.Allocate(8192);
    private int _length;

    /// <summary>What was written since the last reset.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    /// <summary>Empties the writer and wipes what was in it.</summary>
    public ScratchWriter Reset()
    {
        _buffer.AsSpan(0, _length).Clear();
        _length = 0;
        return this;
    }

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(_buffer.Length - _length), nameof(count));
        _length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _buffer.AsMemory(_length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _buffer.AsSpan(_length);
    }

    private void Grow(int sizeHint)
    {
        int needed = Math.Max(sizeHint, 1);
        if (_buffer.Length - _length < needed)
        {
            byte[] larger = SecretBuffers.Allocate(Math.Max(_buffer.Length * 2, _length + needed));
            Written.CopyTo(larger);
            _buffer.AsSpan(0, _length).Clear();
            _buffer = larger;
        }
    }
}
