using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Config;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>Loads <c>ssl_certificate_key</c> sources: files, <c>data:</c>, <c>engine:NAME:ID</c>, <c>store:URI</c>.</summary>
internal static unsafe class PrivateKeys
{
    private const string EngineScheme = "engine:";
    private const string StoreScheme = "store:";

    /// <param name="source">As configured, the path absolute.</param>
    /// <param name="passphrases">Tried in turn on an encrypted key; null = there are none.</param>
    /// <param name="remark">Takes what the administrator should know although the key can be used.</param>
    /// <returns>An <c>EVP_PKEY</c> that the caller frees.</returns>
    /// <exception cref="TlsSettingsException">No key, a damaged one, or one that no passphrase opens.</exception>
    public static nint Load(string source, KeyPassphrases? passphrases, Action<ConfigSeverity, string>? remark)
    {
        nint key = source.StartsWith(EngineScheme, StringComparison.Ordinal) ? LoadFromEngine(source)
            : source.StartsWith(StoreScheme, StringComparison.Ordinal) ? LoadFromStore(source, passphrases)
            : LoadPem(source, passphrases, remark);

        // What a wrong passphrase left in the queue does not belong to the next failure.
        Libcrypto.ERR_clear_error();
        return key;
    }

    /// <summary>Whether the key is in this process's memory, and not behind an engine or a store, where each signature may cost.</summary>
    public static bool IsSoftware(string source) =>
        !source.StartsWith(EngineScheme, StringComparison.Ordinal) && !source.StartsWith(StoreScheme, StringComparison.Ordinal);

    private static nint LoadPem(string source, KeyPassphrases? passphrases, Action<ConfigSeverity, string>? remark)
    {
        using PemSource pem = PemSource.Open(source, "certificate key");
        IReadOnlyList<byte[]> lines = passphrases?.Lines ?? [];
        int next = 0;
        while (true)
        {
            nint key = ReadPem(pem.Bio, next < lines.Count ? lines[next] : null, out Offer offer);
            if (offer.Truncated != 0)
            {
                remark?.Invoke(ConfigSeverity.Error, "password is truncated to 1024 bytes");
            }

            if (key != 0)
            {
                return key;
            }

            if (offer.Asked == 0 || ++next >= lines.Count)
            {
                throw Failure(source, "PEM_read_bio_PrivateKey() failed");
            }

            Libcrypto.ERR_clear_error();
            _ = Libcrypto.BIO_ctrl(pem.Bio, Libcrypto.BIO_CTRL_RESET, 0, null);
        }
    }

    private static nint ReadPem(nint bio, byte[]? passphrase, out Offer result)
    {
        fixed (byte* text = passphrase)
        {
            Offer offer = new() { Text = text, Length = passphrase?.Length ?? -1 };
            nint key = Libcrypto.PEM_read_bio_PrivateKey(bio, 0, &OfferPassphrase, (nint)(&offer));
            result = offer;
            return key;
        }
    }

    /// <summary>The name ends at the first colon; the rest is the key's id, further colons included.</summary>
    private static nint LoadFromEngine(string source)
    {
        string[] parts = source[EngineScheme.Length..].Split(':', 2);
        if (!OpenSsl.HasEngines)
        {
            throw Failure(source, "loading \"engine:...\" certificate keys is not supported");
        }

        if (parts.Length < 2)
        {
            throw Failure(source, "invalid syntax");
        }

        Libcrypto.ERR_clear_error();
        nint engine = Libcrypto.ENGINE_by_id(parts[0]);
        if (engine == 0)
        {
            throw Failure(source, "ENGINE_by_id() failed");
        }

        // Some engines load nothing before they were initialised; one that cannot be says so when asked for the key.
        bool initialised = Libcrypto.ENGINE_init(engine) == 1;
        nint key = Libcrypto.ENGINE_load_private_key(engine, parts[1], 0, 0);
        if (initialised)
        {
            _ = Libcrypto.ENGINE_finish(engine);
        }

        _ = Libcrypto.ENGINE_free(engine);
        return key != 0 ? key : throw Failure(source, "ENGINE_load_private_key() failed");
    }

    /// <summary>The first private key the store yields. As in nginx only the first passphrase is offered to it.</summary>
    private static nint LoadFromStore(string source, KeyPassphrases? passphrases)
    {
        Libcrypto.ERR_clear_error();
        byte[]? passphrase = passphrases is { Lines: [byte[] first, ..] } ? first : null;
        nint ui = Libcrypto.UI_UTIL_wrap_read_pem_callback(&OfferPassphrase, 0);
        try
        {
            fixed (byte* text = passphrase)
            {
                Offer offer = new() { Text = text, Length = passphrase?.Length ?? -1 };
                nint store = Libcrypto.OSSL_STORE_open(source[StoreScheme.Length..], ui, (nint)(&offer), 0, 0);
                if (store == 0)
                {
                    throw Failure(source, "OSSL_STORE_open() failed");
                }

                nint key = FindKey(store);
                _ = Libcrypto.OSSL_STORE_close(store);
                return key != 0 ? key : throw Failure(source, "OSSL_STORE_load() failed");
            }
        }
        finally
        {
            Libcrypto.UI_destroy_method(ui);
        }
    }

    private static nint FindKey(nint store)
    {
        _ = Libcrypto.OSSL_STORE_expect(store, Libcrypto.OSSL_STORE_INFO_PKEY);
        nint key = 0;
        while (key == 0 && Libcrypto.OSSL_STORE_eof(store) == 0)
        {
            nint info = Libcrypto.OSSL_STORE_load(store);
            if (info == 0)
            {
                // Null without an error is an object of another kind.
                if (Libcrypto.OSSL_STORE_error(store) != 0)
                {
                    break;
                }

                continue;
            }

            if (Libcrypto.OSSL_STORE_INFO_get_type(info) == Libcrypto.OSSL_STORE_INFO_PKEY)
            {
                key = Libcrypto.OSSL_STORE_INFO_get1_PKEY(info);
            }

            Libcrypto.OSSL_STORE_INFO_free(info);
        }

        return key;
    }

    private static TlsSettingsException Failure(string source, string fault) =>
        TlsContextFactory.Failure($"cannot load certificate key \"{PemSource.Shown(source)}\": {fault}");

    /// <summary>
    /// Hands one passphrase over. There is always this callback: without one OpenSSL would ask on the terminal, and a service
    /// must not hang on one.
    /// </summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OfferPassphrase(byte* buffer, int size, int writing, nint user)
    {
        Offer* offer = (Offer*)user;
        offer->Asked = 1;
        if (offer->Length < 0)
        {
            return -1;
        }

        int length = Math.Min(offer->Length, size);
        offer->Truncated = length < offer->Length ? 1 : 0;
        new ReadOnlySpan<byte>(offer->Text, length).CopyTo(new Span<byte>(buffer, size));
        return length;
    }

    /// <summary>What <see cref="OfferPassphrase"/> has to offer, and what became of it.</summary>
    private struct Offer
    {
        public byte* Text;

        /// <summary>In bytes; -1 = there is no passphrase.</summary>
        public int Length;

        /// <summary>Not 0: the key is encrypted.</summary>
        public int Asked;

        public int Truncated;
    }
}
