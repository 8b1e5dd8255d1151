using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>Loads <c>ssl_certificate_key</c> sources.</summary>
internal static unsafe class PrivateKeys
{
    /// <returns>An <c>EVP_PKEY</c> that the caller frees.</returns>
    /// <exception cref="TlsSettingsException">No key, a damaged or an encrypted one.</exception>
    public static nint Load(string source)
    {
        using PemSource pem = PemSource.Open(source, "certificate key");
        nint key = Libcrypto.PEM_read_bio_PrivateKey(pem.Bio, 0, &NoPassphrase, 0);
        return key != 0
            ? key
            : throw TlsContextFactory.Failure($"cannot load certificate key \"{PemSource.Shown(source)}\": PEM_read_bio_PrivateKey() failed");
    }

    /// <summary>Without a callback OpenSSL would ask on the terminal; a service must not hang on one.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int NoPassphrase(byte* buffer, int size, int writing, nint user) => -1;
}
