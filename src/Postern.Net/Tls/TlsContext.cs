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

    /// <summary>Keys of software, each with a reference of this object's own, that have not made a signature yet.</summary>
    private readonly List<nint> _unused = [];
    private readonly Lock _lock = new();
    private volatile bool _areUsed;

    /// <summary>A key the context has been given is to be prepared before the first client needs it.</summary>
    internal void AddKey(nint key)
    {
        if (Libcrypto.EVP_PKEY_up_ref(key) == 1)
        {
            _unused.Add(key);
        }
    }

    /// <summary>A new SSL object, which the caller frees; 0 if there is no memory for one.</summary>
    internal nint NewConnection()
    {
        if (!_areUsed)
        {
            UseKeys();
        }

        return Libssl.SSL_new(handle);
    }

    /// <summary>
    /// What OpenSSL derives from a key at its first signature is made where keys are kept. Not at the start: an RSA key takes a
    /// millisecond, and most processes that read one never sign (the loader, a test of the configuration).
    /// </summary>
    private void UseKeys()
    {
        lock (_lock)
        {
            if (!_areUsed)
            {
                _ = KeyMemory.Run(() =>
                {
                    _unused.ForEach(KeyMemory.Use);
                    return 0;
                });
                FreeKeys();
                _areUsed = true;
            }
        }
    }

    private void FreeKeys()
    {
        _unused.ForEach(Libcrypto.EVP_PKEY_free);
        _unused.Clear();
    }

    protected override unsafe bool ReleaseHandle()
    {
        FreeKeys();

        // Freeing the context empties OpenSSL's own cache; the shared one, which outlives it, must not lose those sessions.
        Libssl.SSL_CTX_sess_set_remove_cb(handle, null);
        Libssl.SSL_CTX_free(handle);
        return true;
    }
}
