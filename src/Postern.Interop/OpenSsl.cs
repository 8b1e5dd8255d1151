using System.Reflection;
using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>
/// Finds and initialises the system's OpenSSL: <c>libssl.so.3</c>, else <c>libssl.so.4</c>, and libcrypto of the same number.
/// Call <see cref="Initialize"/> once before any other use of <see cref="Libssl"/> or <see cref="Libcrypto"/>.
/// </summary>
public static class OpenSsl
{
    private const ulong OPENSSL_INIT_LOAD_CONFIG = 0x40;
    private const ulong OPENSSL_INIT_LOAD_CRYPTO_STRINGS = 0x2;
    private const ulong OPENSSL_INIT_LOAD_SSL_STRINGS = 0x200000;

    /// <summary>Without it libcrypto frees its globals at exit while loops may still be inside it.</summary>
    private const ulong OPENSSL_INIT_NO_ATEXIT = 0x80000;

    private static readonly Lock _lock = new();
    private static bool _initialized;
    private static nint _libssl;
    private static nint _libcrypto;

    /// <exception cref="DllNotFoundException">No OpenSSL 3 or 4 on this system.</exception>
    public static void Initialize()
    {
        lock (_lock)
        {
            if (_initialized)
            {
                return;
            }

            Load();
            NativeLibrary.SetDllImportResolver(typeof(OpenSsl).Assembly, Resolve);
            const ulong Options =
                OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_NO_ATEXIT;
            if (Libssl.OPENSSL_init_ssl(Options, 0) != 1)
            {
                throw new InvalidOperationException("OPENSSL_init_ssl() failed: check the system's openssl.cnf");
            }

            // The call may leave entries in this thread's queue although it succeeded.
            Libcrypto.ERR_clear_error();
            _initialized = true;
        }
    }

    /// <summary>The library in use, such as <c>OpenSSL 3.0.19 27 Jan 2026</c>.</summary>
    public static string VersionText
    {
        get
        {
            Initialize();
            return Marshal.PtrToStringUTF8(Libcrypto.OpenSSL_version(0)) ?? "";
        }
    }

    /// <summary>Whether libcrypto still has engines: they were compiled out of some builds of 3 and removed in 4.</summary>
    public static bool HasEngines => Has("ENGINE_by_id", ssl: false);

    /// <summary>Whether libssl knows certificate compression (3.2 and later).</summary>
    public static bool HasCertificateCompression => Has("SSL_CTX_compress_certs", ssl: true);

    private static bool Has(string name, bool ssl)
    {
        Initialize();
        return NativeLibrary.TryGetExport(ssl ? _libssl : _libcrypto, name, out _);
    }

    private static void Load()
    {
        foreach (string number in (ReadOnlySpan<string>)["3", "4"])
        {
            if (NativeLibrary.TryLoad("libcrypto.so." + number, out nint crypto))
            {
                if (NativeLibrary.TryLoad("libssl.so." + number, out nint ssl))
                {
                    (_libcrypto, _libssl) = (crypto, ssl);
                    return;
                }

                NativeLibrary.Free(crypto);
            }
        }

        throw new DllNotFoundException("OpenSSL 3 or 4 is needed: libssl.so.3 was not found (Debian: apt-get install libssl3)");
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) => name switch
    {
        Libssl.Library => _libssl,
        Libcrypto.Library => _libcrypto,
        _ => 0,
    };
}
