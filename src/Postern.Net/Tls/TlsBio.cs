using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>
/// The BIO through which OpenSSL reads and writes: one object for all SSL objects of a loop, because the loop's
/// buffers, not the connection's, are behind it. Before each OpenSSL call the caller says what there is to read and
/// where to write (<see cref="TlsTransfer"/>).
/// </summary>
internal sealed unsafe class TlsBio : IDisposable
{
    private static readonly nint _method = CreateMethod();
    private nint _bio;

    public TlsBio()
    {
        _bio = Libcrypto.BIO_new(_method);
        if (_bio == 0)
        {
            throw new InvalidOperationException("BIO_new() failed");
        }

        Libcrypto.BIO_set_init(_bio, 1);
    }

    /// <summary>Makes the SSL object read from and write to the loop's buffers.</summary>
    public void Attach(nint ssl)
    {
        // SSL_set_bio consumes one reference when both directions are the same object.
        if (Libcrypto.BIO_up_ref(_bio) != 1)
        {
            throw new InvalidOperationException("BIO_up_ref() failed");
        }

        Libssl.SSL_set_bio(ssl, _bio, _bio);
    }

    public void Dispose()
    {
        if (_bio != 0)
        {
            _ = Libcrypto.BIO_free(_bio);
            _bio = 0;
        }
    }

    private static nint CreateMethod()
    {
        nint method = Libcrypto.BIO_meth_new(Libcrypto.BIO_get_new_index() | Libcrypto.BIO_TYPE_SOURCE_SINK, "postern loop");
        if (method == 0
            || Libcrypto.BIO_meth_set_read(method, &Read) != 1
            || Libcrypto.BIO_meth_set_write(method, &Write) != 1

            // The null BIO's ctrl answers what is needed (FLUSH 1, kTLS queries 0) without entering managed code,
            // which OpenSSL 3.0 would do 96 times a handshake.
            || Libcrypto.BIO_meth_set_ctrl(method, Libcrypto.BIO_meth_get_ctrl(Libcrypto.BIO_s_null())) != 1)
        {
            throw new InvalidOperationException("BIO_meth_new() failed");
        }

        return method;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Read(nint bio, byte* buffer, int length)
    {
        ref TlsTransfer transfer = ref TlsTransfer.Current;
        Libcrypto.BIO_clear_flags(bio, Libcrypto.BIO_FLAGS_RWS_AND_RETRY);
        int count = Math.Min(length, transfer.InLength);
        if (count <= 0)
        {
            Libcrypto.BIO_set_flags(bio, Libcrypto.BIO_FLAGS_READ | Libcrypto.BIO_FLAGS_SHOULD_RETRY);
            return -1;
        }

        Unsafe.CopyBlockUnaligned(buffer, transfer.In, (uint)count);
        transfer.In += count;
        transfer.InLength -= count;
        return count;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Write(nint bio, byte* buffer, int length)
    {
        ref TlsTransfer transfer = ref TlsTransfer.Current;
        Libcrypto.BIO_clear_flags(bio, Libcrypto.BIO_FLAGS_RWS_AND_RETRY);
        int count = Math.Min(length, transfer.OutCapacity - transfer.OutLength);
        if (count <= 0)
        {
            Libcrypto.BIO_set_flags(bio, Libcrypto.BIO_FLAGS_WRITE | Libcrypto.BIO_FLAGS_SHOULD_RETRY);
            return -1;
        }

        Unsafe.CopyBlockUnaligned(transfer.Out + transfer.OutLength, buffer, (uint)count);
        transfer.OutLength += count;
        return count;
    }
}

/// <summary>What OpenSSL reads from and writes to during one call; valid for this thread until the call returns.</summary>
internal unsafe struct TlsTransfer
{
    [ThreadStatic]
    private static TlsTransfer _current;

    public static ref TlsTransfer Current => ref _current;

    /// <summary>Ciphertext not yet taken by OpenSSL.</summary>
    public byte* In;

    public int InLength;

    /// <summary>Start of the out buffer; OpenSSL's output is appended at <see cref="OutLength"/>.</summary>
    public byte* Out;

    public int OutLength;

    public int OutCapacity;
}
