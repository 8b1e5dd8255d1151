using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>
/// What OpenSSL's callbacks about sessions and tickets need to know of the context they are called for. Lives as long as the
/// <c>SSL_CTX</c>, which connections keep alive beyond their <see cref="TlsContext"/>.
/// </summary>
internal sealed unsafe class TlsServerState
{
    /// <summary>
    /// A session may be born so much later than now, in seconds: the clock was set a little. Beyond, it was set back from far ahead, and
    /// what was made meanwhile would live until then.
    /// </summary>
    private const long ClockSlackSeconds = 60;

    /// <summary>AES block size: length of a ticket's initialisation vector.</summary>
    private const int IvBytes = 16;

    private static readonly int _index = Libcrypto.CRYPTO_get_ex_new_index(Libcrypto.CRYPTO_EX_INDEX_SSL_CTX, 0, 0, 0, 0, &OnContextFreed);

    /// <summary>The parameters of every EVP_MAC_init: digest SHA256.</summary>
    private static readonly OsslParam* _macParameters = CreateMacParameters();

    /// <summary>Null = no shared cache.</summary>
    public SharedSessionCache? Cache { get; init; }

    /// <summary>Null = the context's own random key.</summary>
    public TicketKeys? Keys { get; init; }

    public long TimeoutSeconds { get; init; }

    /// <summary>Gives this to the context and installs the callbacks it needs.</summary>
    public void AttachTo(nint context)
    {
        nint handle = GCHandle.ToIntPtr(GCHandle.Alloc(this));
        if (_index < 0 || Libssl.SSL_CTX_set_ex_data(context, _index, handle) != 1)
        {
            GCHandle.FromIntPtr(handle).Free();
            throw TlsContextFactory.Failure("SSL_CTX_set_ex_data() failed");
        }

        if (Libssl.SSL_CTX_set_session_ticket_cb(context, &OnTicketDue, &OnTicketDecrypted, 0) != 1)
        {
            throw TlsContextFactory.Failure("SSL_CTX_set_session_ticket_cb() failed");
        }

        if (Keys is not null && Libssl.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &OnTicketKey) != 1)
        {
            throw TlsContextFactory.Failure("SSL_CTX_set_tlsext_ticket_key_evp_cb() failed");
        }

        if (Cache is not null)
        {
            Libssl.SSL_CTX_sess_set_new_cb(context, &OnNewSession);
            Libssl.SSL_CTX_sess_set_get_cb(context, &OnSessionWanted);
            Libssl.SSL_CTX_sess_set_remove_cb(context, &OnSessionRemoved);
        }
    }

    private static TlsServerState? Of(nint context)
    {
        nint handle = Libssl.SSL_CTX_get_ex_data(context, _index);
        return handle == 0 ? null : (TlsServerState?)GCHandle.FromIntPtr(handle).Target;
    }

    private static OsslParam* CreateMacParameters()
    {
        // Process-wide and read-only: OpenSSL keeps no pointer to it, but there is no reason to build it for each ticket.
        ReadOnlySpan<byte> name = "digest\0"u8;
        ReadOnlySpan<byte> value = "SHA256\0"u8;
        OsslParam* parameters = (OsslParam*)NativeMemory.AllocZeroed((nuint)((2 * sizeof(OsslParam)) + name.Length + value.Length));
        byte* text = (byte*)(parameters + 2);
        name.CopyTo(new Span<byte>(text, name.Length));
        value.CopyTo(new Span<byte>(text + name.Length, value.Length));
        parameters->Key = text;
        parameters->DataType = Libcrypto.OSSL_PARAM_UTF8_STRING;
        parameters->Data = text + name.Length;
        parameters->DataSize = (nuint)value.Length - 1;
        return parameters;
    }

#pragma warning disable CA1031 // An exception must not cross native frames: a callback that failed says so in its own way.

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnContextFreed(nint context, nint handle, nint data, int index, nint longArgument, nint pointerArgument)
    {
        if (handle != 0)
        {
            GCHandle.FromIntPtr(handle).Free();
        }
    }

    /// <summary>
    /// Just before a ticket is made. TLS 1.3 gives each ticket the full timeout again, so that a session could live for ever:
    /// the end of the first one travels in the ticket, and bounds those that follow.
    /// </summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnTicketDue(nint ssl, nint argument)
    {
        if (Libssl.SSL_version(ssl) != Libssl.TLS1_3_VERSION)
        {
            return 1;
        }

        nint session = Libssl.SSL_get_session(ssl);
        long born = Libssl.SSL_SESSION_get_time(session);
        if (Libssl.SSL_session_reused(ssl) == 1 && ReadEnd(session) is long end)
        {
            // Not 0: OpenSSL 3.0 fails the handshake over a ticket without lifetime.
            Libssl.SSL_SESSION_set_timeout(session, (nint)Math.Clamp(end - born, 1, Math.Max(1, Libssl.SSL_SESSION_get_timeout(session))));
            return 1;
        }

        end = born + Libssl.SSL_SESSION_get_timeout(session);
        return Libssl.SSL_SESSION_set1_ticket_appdata(session, &end, sizeof(long));
    }

    /// <summary>The last tickets of a session live a second longer than it should: without this they could follow each other for ever.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnTicketDecrypted(nint ssl, nint session, byte* name, nuint nameLength, int status, nint argument) => status switch
    {
        Libssl.SSL_TICKET_SUCCESS or Libssl.SSL_TICKET_SUCCESS_RENEW when IsUnborn(session) || (ReadEnd(session) is long end && end <= Now()) =>
            Libssl.SSL_TICKET_RETURN_IGNORE_RENEW,
        Libssl.SSL_TICKET_SUCCESS => Libssl.SSL_TICKET_RETURN_USE,
        Libssl.SSL_TICKET_SUCCESS_RENEW => Libssl.SSL_TICKET_RETURN_USE_RENEW,
        _ => Libssl.SSL_TICKET_RETURN_IGNORE_RENEW,
    };

    /// <returns>When encrypting 1, or -1 for a failure; when decrypting 0 for an unknown key, 2 if the ticket is to be replaced, else 1.</returns>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnTicketKey(nint ssl, byte* name, byte* iv, nint cipher, nint mac, int encrypting)
    {
        try
        {
            if (Of(Libssl.SSL_get_SSL_CTX(ssl)) is not { Keys: { } keys } state)
            {
                return 0;
            }

            if (encrypting == 1)
            {
                TicketKey key = keys.ForNewTicket(state.TimeoutSeconds);
                key.Name.CopyTo(new Span<byte>(name, TicketKey.NameBytes));
                return Libcrypto.RAND_bytes(iv, IvBytes) == 1 && Begin(key, iv, cipher, mac, encrypt: true) ? 1 : -1;
            }

            if (keys.Find(new ReadOnlySpan<byte>(name, TicketKey.NameBytes), out bool isNewest) is not { } known)
            {
                return 0;
            }

            // A TLS 1.3 client uses a ticket once: without a new one it could not resume again.
            bool renew = !isNewest || Libssl.SSL_version(ssl) == Libssl.TLS1_3_VERSION;
            return !Begin(known, iv, cipher, mac, encrypt: false) ? -1 : renew ? 2 : 1;
        }
        catch
        {
            return -1;
        }
    }

    /// <summary>OpenSSL keeps a session: offered for each one that a server without tickets, or a client without them, makes.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OnNewSession(nint ssl, nint session)
    {
        const int NotKept = 0;
        try
        {
            // Also called for TLS 1.3 sessions that the client holds in a ticket: nobody would ever ask for those.
            bool stateless = Libssl.SSL_version(ssl) == Libssl.TLS1_3_VERSION
                && (Libssl.SSL_get_options(ssl) & Libssl.SSL_OP_NO_TICKET) == 0;
            if (!stateless && Of(Libssl.SSL_get_SSL_CTX(ssl)) is { Cache: { } cache })
            {
                Span<byte> bytes = stackalloc byte[SharedSessionCache.MaxSessionBytes];
                int length = Serialise(session, bytes);
                if (length > 0)
                {
                    long expires = ReadEnd(session) ?? Libssl.SSL_SESSION_get_time(session) + Libssl.SSL_SESSION_get_timeout(session);
                    cache.Add(IdOf(session), bytes[..length], expires);
                    bytes[..length].Clear();
                }
            }
        }
        catch
        {
            // The session is not cached.
        }

        return NotKept;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint OnSessionWanted(nint ssl, byte* id, int length, int* copy)
    {
        try
        {
            // The session made below is handed over, not lent.
            *copy = 0;
            byte* bytes = stackalloc byte[SharedSessionCache.MaxSessionBytes];
            var buffer = new Span<byte>(bytes, SharedSessionCache.MaxSessionBytes);
            int found = Of(Libssl.SSL_get_SSL_CTX(ssl))?.Cache?.Find(new ReadOnlySpan<byte>(id, length), buffer) ?? 0;
            if (found == 0)
            {
                return 0;
            }

            byte* position = bytes;
            nint session = Libssl.d2i_SSL_SESSION(0, &position, found);
            buffer[..found].Clear();
            if (session == 0)
            {
                // Left in the queue, it would be taken for a failure of the handshake.
                Libcrypto.ERR_clear_error();
            }
            else if (IsUnborn(session))
            {
                Libssl.SSL_SESSION_free(session);
                return 0;
            }

            return session;
        }
        catch
        {
            return 0;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void OnSessionRemoved(nint context, nint session)
    {
        try
        {
            Of(context)?.Cache?.Remove(IdOf(session));
        }
        catch
        {
            // It will expire.
        }
    }

#pragma warning restore CA1031

    private static bool Begin(TicketKey key, byte* iv, nint cipher, nint mac, bool encrypt)
    {
        fixed (byte* aes = key.AesKey, hmac = key.HmacKey)
        {
            int begun = encrypt
                ? Libcrypto.EVP_EncryptInit_ex2(cipher, key.Cipher, aes, iv, 0)
                : Libcrypto.EVP_DecryptInit_ex2(cipher, key.Cipher, aes, iv, 0);
            return begun == 1 && Libcrypto.EVP_MAC_init(mac, hmac, (nuint)key.HmacKey.Length, _macParameters) == 1;
        }
    }

    private static bool IsUnborn(nint session) => Libssl.SSL_SESSION_get_time(session) > Now() + ClockSlackSeconds;

    private static long Now() => TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>When the session ends that this one continues; null if its ticket does not say.</summary>
    private static long? ReadEnd(nint session)
    {
        void* data;
        nuint length;
        return Libssl.SSL_SESSION_get0_ticket_appdata(session, &data, &length) == 1 && length == sizeof(long)
            ? Unsafe.ReadUnaligned<long>(data)
            : null;
    }

    private static ReadOnlySpan<byte> IdOf(nint session)
    {
        uint length;
        byte* id = Libssl.SSL_SESSION_get_id(session, &length);
        return new ReadOnlySpan<byte>(id, (int)length);
    }

    /// <returns>Bytes written to <paramref name="buffer"/>; 0 if the session is larger.</returns>
    private static int Serialise(nint session, Span<byte> buffer)
    {
        int length = Libssl.i2d_SSL_SESSION(session, null);
        if (length <= 0 || length > buffer.Length)
        {
            return 0;
        }

        fixed (byte* start = buffer)
        {
            byte* position = start;
            return Libssl.i2d_SSL_SESSION(session, &position) == length ? length : 0;
        }
    }
}
