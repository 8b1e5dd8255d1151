using System.Runtime.InteropServices;

namespace Postern.Net;

/// <summary>
/// The big buffers of one loop. Every connection of the loop works in them during its turn and leaves them empty, so
/// that an idle connection holds none. Native memory: OpenSSL's callbacks and system calls get plain pointers.
/// </summary>
internal sealed unsafe class LoopBuffers : IDisposable
{
    /// <summary>
    /// Ciphertext or cleartext of one recv(2), in bytes. One size for both so that what is received always fits once
    /// decrypted, up to the one record that OpenSSL may have held back (see <see cref="PlainBytes"/>).
    /// </summary>
    public const int InBytes = 128 * 1024;

    /// <summary>Decrypted data of one turn: all of <see cref="InBytes"/> and one record of 16 KiB from before.</summary>
    public const int PlainBytes = InBytes + (16 * 1024);

    /// <summary>What one turn sends for one connection: <see cref="PlainBytes"/> with TLS framing, and some more.</summary>
    public const int OutBytes = 256 * 1024;

    public LoopBuffers()
    {
        In = (byte*)NativeMemory.AlignedAlloc(InBytes, 4096);
        Plain = (byte*)NativeMemory.AlignedAlloc(PlainBytes, 4096);
        Out = (byte*)NativeMemory.AlignedAlloc(OutBytes, 4096);
    }

    public byte* In { get; private set; }

    public byte* Plain { get; private set; }

    public byte* Out { get; private set; }

    /// <summary>Bytes in <see cref="Out"/> not yet given to the kernel.</summary>
    public int OutLength;

    /// <summary>Overwrites what was a password, or may have been.</summary>
    public static void Wipe(byte* buffer, int length) => new Span<byte>(buffer, length).Clear();

    public void Dispose()
    {
        NativeMemory.AlignedFree(In);
        NativeMemory.AlignedFree(Plain);
        NativeMemory.AlignedFree(Out);
        In = Plain = Out = null;
    }
}
