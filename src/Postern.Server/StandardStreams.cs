using System.Text;
using Postern.Interop;

namespace Postern.Server;

/// <summary>Standard output and standard error, unbuffered, for what the command line prints. Everything else goes to the logs.</summary>
public sealed class StandardStreams(Stream output, Stream error)
{
    /// <summary>
    /// Those of the process, by number: the runtime would make copies of them, and a terminal or pipe would stay in use by a process
    /// that has detached itself from it.
    /// </summary>
    public static StandardStreams OfProcess() => new(new DescriptorStream(1), new DescriptorStream(2));

    /// <summary>Writes bytes to standard output as they are.</summary>
    public void Output(ReadOnlySpan<byte> bytes) => output.Write(bytes);

    /// <summary>Writes text to standard output.</summary>
    public void Output(string text) => Output(Encoding.UTF8.GetBytes(text));

    /// <summary>Writes a line to standard error.</summary>
    /// <param name="line">Without its end.</param>
    public void Error(string line) => error.Write(Encoding.UTF8.GetBytes(line + "\n"));

    /// <summary>A descriptor that is written to. What it does not take is lost: there is nowhere else to say it.</summary>
    private sealed class DescriptorStream(int descriptor) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            while (!buffer.IsEmpty)
            {
                nint written = Libc.write(descriptor, buffer);
                if (written <= 0)
                {
                    return;
                }

                buffer = buffer[(int)written..];
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
