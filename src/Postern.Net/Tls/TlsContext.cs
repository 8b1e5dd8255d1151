using Microsoft.Win32.SafeHandles;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>
/// A finished <c>SSL_CTX</c>: shared by all loops, never changed once connections exist. Sessions keep the one of the
/// configuration they started with; the last connection frees it.
/// </summary>
public sealed class TlsContext : SafeHandleZeroOrMinusOneIsInvalid
{
    internal TlsContext(nint context)
        : base(ownsHandle: true)
    {
        SetHandle(context);
    }

    /// <summary>Security level in force (SSL_CTX_set_security_level(3)): TLS 1.0 and 1.1 need 0.</summary>
    public int SecurityLevel => Libssl.SSL_CTX_get_security_level(handle);

    /// <summary>A new SSL object; the caller frees it.</summary>
    internal nint NewConnection()
    {
        nint ssl = Libssl.SSL_new(handle);
        return ssl != 0 ? ssl : throw new InvalidOperationException("SSL_new() failed");
    }

    protected override unsafe bool ReleaseHandle()
    {
        // Freeing the context empties OpenSSL's own cache; the shared one, which outlives it, must not lose those sessions.
        Libssl.SSL_CTX_sess_set_remove_cb(handle, null);
        Libssl.SSL_CTX_free(handle);
        return true;
    }
}
