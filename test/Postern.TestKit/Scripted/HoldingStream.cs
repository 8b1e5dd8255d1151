namespace Postern.TestKit.Scripted;

/// <summary>Passes everything through, and can keep writes back so that two of them leave in one segment.</summary>
internal sealed class HoldingStream(Stream inner) : Stream
{
    private readonly MemoryStream _held = new();
    private int _writes;

    /// <summary>The first write (counted from 1) that is kept back until <see cref="Release"/>.</summary>
    public int HoldFromWrite { get; set; } = int.MaxValue;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Sends what was kept back, in one write, and keeps nothing back from now on.</summary>
    public void Release()
    {
        HoldFromWrite = int.MaxValue;
        if (_held.Length > 0)
        {
            inner.Write(_held.GetBuffer().AsSpan(0, (int)_held.Length));
            _held.SetLength(0);
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        inner.ReadAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        inner.ReadAsync(buffer, offset, count, cancellationToken);

    public override void Write(byte[] buffer, int offset, int count)
    {
        if (++_writes >= HoldFromWrite)
        {
            _held.Write(buffer, offset, count);
        }
        else
        {
            inner.Write(buffer, offset, count);
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (++_writes >= HoldFromWrite)
        {
            _held.Write(buffer.Span);
        }
        else
        {
            await inner.WriteAsync(buffer, cancellationToken);
        }
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush() => inner.Flush();

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
            _held.Dispose();
        }

        base.Dispose(disposing);
    }
}
