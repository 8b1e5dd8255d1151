using Postern.Net.Tests.Scripted;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>The client's end of a scripted connection as a stream, for the runtime's own TLS client. Nothing there = the end.</summary>
internal sealed class ScriptedClientStream(ScriptedLoop script, ScriptedSocket socket) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        script.Settle();
        return socket.Outbox.Take(buffer.AsSpan(offset, count));
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        socket.Arrive(buffer.AsSpan(offset, count));
        script.Settle();
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
