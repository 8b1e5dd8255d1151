using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Interop;
using Postern.Net.Tls;

namespace Postern.Net;

/// <summary>How a TLS handshake ended.</summary>
public enum HandshakeOutcome
{
    Completed,

    /// <summary>The other side closed or reset the connection; <see cref="Connection.HandshakeErrno"/> tells a reset.</summary>
    PeerClosed,

    /// <summary>OpenSSL refused; <see cref="Connection.TlsFailure"/> has the reason.</summary>
    Failed,
}

/// <summary>The TLS half of a connection: OpenSSL works in the loop's buffers, nothing is held while idle but its own state.</summary>
public sealed unsafe partial class Connection
{
    /// <summary>Room that must be free in the out buffer before one record (16 KiB and its framing) is written.</summary>
    private const int RecordRoom = 17 * 1024;

    /// <summary>Most cleartext handed to one SSL_write: one record.</summary>
    private const int RecordBytes = 16 * 1024;

    private nint _ssl;

    /// <summary>Received ciphertext that OpenSSL has not been given yet, because the reader's buffer was full.</summary>
    private byte[]? _cipher;
    private int _cipherStart;
    private int _cipherEnd;

    /// <summary>OpenSSL may hold decrypted bytes for which no event will come.</summary>
    private bool _tlsMore;
    private bool _tlsEstablished;
    private bool _tlsBroken;
    private bool _peerClosedTls;

    /// <summary>Whether cleartext goes through TLS, i.e. a handshake was completed.</summary>
    public bool IsTls => _tlsEstablished;

    /// <summary>After <see cref="HandshakeOutcome.Failed"/>: <c>SSL_do_handshake() failed (SSL: …)</c>, and whose fault it is.</summary>
    public string TlsFailure { get; private set; } = "";

    /// <summary>Whether <see cref="TlsFailure"/> was caused by the other side.</summary>
    public bool TlsFailureIsPeers { get; private set; }

    /// <summary>After <see cref="HandshakeOutcome.PeerClosed"/>: the errno of the failed read, or 0 for a plain close.</summary>
    public int HandshakeErrno { get; private set; }

    /// <summary>Protocol version as OpenSSL names it: <c>TLSv1.3</c>.</summary>
    public string TlsVersion => Marshal.PtrToStringUTF8(Libssl.SSL_get_version(_ssl)) ?? "";

    /// <summary>Cipher as OpenSSL names it: <c>TLS_AES_256_GCM_SHA384</c>.</summary>
    public string TlsCipher => Marshal.PtrToStringUTF8(Libssl.SSL_CIPHER_get_name(Libssl.SSL_get_current_cipher(_ssl))) ?? "";

    /// <summary>Whether the handshake resumed an earlier session.</summary>
    public bool TlsResumed => Libssl.SSL_session_reused(_ssl) == 1;

    /// <summary>The name the client asked for (SNI), or null.</summary>
    public string? TlsServerName => _ssl == 0 ? null : Marshal.PtrToStringUTF8(Libssl.SSL_get_servername(_ssl, 0));

    /// <summary>Signature algorithm of our certificate: <c>RSA-SHA256</c>.</summary>
    public string TlsCertificateSignature =>
        Marshal.PtrToStringUTF8(Libcrypto.OBJ_nid2sn(Libcrypto.X509_get_signature_nid(Libssl.SSL_get_certificate(_ssl)))) ?? "";

    /// <summary>Type and bits of our certificate's key: <c>RSA2048</c>.</summary>
    public string TlsCertificateKey
    {
        get
        {
            nint key = Libcrypto.X509_get0_pubkey(Libssl.SSL_get_certificate(_ssl));
            return Marshal.PtrToStringUTF8(Libcrypto.EVP_PKEY_get0_type_name(key))
                + Libcrypto.EVP_PKEY_get_bits(key).ToString(CultureInfo.InvariantCulture);
        }
    }

    /// <summary>The protocol chosen by ALPN; empty if none.</summary>
    public byte[] TlsAlpn
    {
        get
        {
            byte* data;
            uint length;
            Libssl.SSL_get0_alpn_selected(_ssl, &data, &length);
            return new ReadOnlySpan<byte>(data, (int)length).ToArray();
        }
    }

    /// <summary>Cleartext that may be read without an event: inside OpenSSL, or ciphertext kept for it.</summary>
    private bool HasTlsInput => _tlsMore || _cipher is not null;

    /// <summary>Whether the next read throws instead of waiting for input that could not be decrypted.</summary>
    private bool IsTlsBroken => _tlsBroken && _tlsEstablished;

    /// <summary>
    /// The login is over: neither the loop nor OpenSSL need wipe what was read any more, which costs a third of the processor time of
    /// decrypting.
    /// </summary>
    internal void EndOfSecrets()
    {
        _mayHoldSecrets = false;
        if (_ssl != 0)
        {
            SslOwnership.Touch(_ssl);
            Libssl.SSL_clear_options(_ssl, Libssl.SSL_OP_CLEANSE_PLAINTEXT);
        }
    }

    /// <summary>
    /// For the relay: decrypts or receives as much as there is into the loop's plain buffer.
    /// </summary>
    /// <returns>Bytes in <see cref="LoopBuffers.Plain"/>, 0 at the end of the stream, <see cref="WouldBlock"/>, or −errno (−EPROTO for TLS).</returns>
    internal int ReadForRelay()
    {
        LoopBuffers buffers = _loop.Buffers;
        if (_ssl == 0)
        {
            return Receive(buffers.Plain, _loop.Memory.RelayBytes);
        }

        if (IsTlsBroken)
        {
            // The bytes before the damage were passed on; what comes behind it will never be read.
            return -Libc.EPROTO;
        }

        int total = 0;
        bool fresh = false;
        _loop.ClaimOut(this);
        while (true)
        {
            if (HasTlsInput || fresh)
            {
                TlsReadResult result = DecryptInto(buffers.Plain + total, LoopBuffers.PlainBytes - total, fresh, ref total);
                fresh = false;
                if (result != TlsReadResult.NeedInput)
                {
                    return total > 0 ? total : result == TlsReadResult.Closed ? 0 : -Libc.EPROTO;
                }
            }

            if (total > 0)
            {
                return total;
            }

            int n = Receive(buffers.In, _loop.Memory.RelayBytes);
            if (n <= 0)
            {
                return n;
            }

            SetTransfer(buffers.In, n);
            fresh = true;
        }
    }

    /// <summary>
    /// For the last words of a connection: takes in what there is. Under TLS it is decrypted, because the client's close_notify,
    /// which ends the waiting for it, cannot be told from anything else otherwise.
    /// </summary>
    /// <returns>Bytes taken, 0 at the end of the stream, <see cref="WouldBlock"/>, or −errno (−EPROTO for TLS).</returns>
    internal int ReadToDiscard()
    {
        if (_endOfStream || !_tlsEstablished || _tlsBroken)
        {
            return _endOfStream ? 0 : ReceiveToDiscard();
        }

        int n = ReadForRelay();
        if (n > 0 && _mayHoldSecrets)
        {
            LoopBuffers.Wipe(_loop.Buffers.Plain, n);
        }

        return n;
    }

    private enum TlsReadResult
    {
        NeedInput,
        Closed,
        Failed,
    }

    /// <summary>SSL_read until OpenSSL wants more input; the plain buffer is large enough for all a turn can yield.</summary>
    private TlsReadResult DecryptInto(byte* target, int capacity, bool fresh, ref int total)
    {
        if (_cipher is not null)
        {
            return DecryptKept(target, capacity, ref total);
        }

        if (!fresh)
        {
            SetTransfer(null, 0);
        }

        return DecryptTransfer(target, capacity, ref total);
    }

    private TlsReadResult DecryptKept(byte* target, int capacity, ref int total)
    {
        byte[] cipher = _cipher!;
        fixed (byte* pointer = cipher)
        {
            SetTransfer(pointer + _cipherStart, _cipherEnd - _cipherStart);
            TlsReadResult result = DecryptTransfer(target, capacity, ref total);
            _cipher = null;
            ArrayPool<byte>.Shared.Return(cipher);
            return result;
        }
    }

    private TlsReadResult DecryptTransfer(byte* target, int capacity, ref int total)
    {
        int got = 0;
        while (got < capacity)
        {
            int n = SslRead(target + got, capacity - got, out TlsReadResult result);
            if (n <= 0)
            {
                total += got;
                return result;
            }

            got += n;
            if (!MayReadOn)
            {
                total += got;
                _tlsMore = false;
                return TlsReadResult.NeedInput;
            }
        }

        // Cannot happen with what one recv(2) brings; if it did, the rest stays in OpenSSL and is fetched by the next read.
        total += got;
        _tlsMore = true;
        return TlsReadResult.NeedInput;
    }

    /// <summary>
    /// Whether another SSL_read may yield something without new input: it costs a buffer of OpenSSL's to find out that it does not. All
    /// that was received was handed over, and without read-ahead OpenSSL takes no record before it is wanted.
    /// </summary>
    private bool MayReadOn => TlsTransfer.Current.InLength > 0 || Libssl.SSL_has_pending(_ssl) == 1;

    private int TlsRead(byte* target, int capacity)
    {
        if (IsTlsBroken)
        {
            return EndOf(TlsReadResult.Failed);
        }

        LoopBuffers buffers = _loop.Buffers;
        while (true)
        {
            if (HasTlsInput)
            {
                int n = ReadKept(target, capacity, out TlsReadResult kept);
                if (n > 0 || kept != TlsReadResult.NeedInput)
                {
                    return n > 0 ? n : EndOf(kept);
                }
            }

            int received = Checked(Receive(buffers.In, Math.Min(LoopBuffers.InBytes, Math.Max(capacity, RecordBytes))));
            if (received <= 0)
            {
                return received;
            }

            _loop.ClaimOut(this);
            SetTransfer(buffers.In, received);
            int read = SslRead(target, capacity, out TlsReadResult result);
            KeepRestOfTransfer();
            if (read > 0)
            {
                _tlsMore = MayReadOn;
                return read;
            }

            if (result != TlsReadResult.NeedInput)
            {
                return EndOf(result);
            }
        }
    }

    private int ReadKept(byte* target, int capacity, out TlsReadResult result)
    {
        _loop.ClaimOut(this);
        if (_cipher is null)
        {
            SetTransfer(null, 0);
            int more = SslRead(target, capacity, out result);
            _tlsMore &= MayReadOn;
            return more;
        }

        fixed (byte* pointer = _cipher)
        {
            SetTransfer(pointer + _cipherStart, _cipherEnd - _cipherStart);
            int n = SslRead(target, capacity, out result);
            _cipherStart = _cipherEnd - TlsTransfer.Current.InLength;
            _tlsMore = n > 0 && MayReadOn;
            if (_cipherStart == _cipherEnd)
            {
                ArrayPool<byte>.Shared.Return(_cipher);
                _cipher = null;
            }

            return n;
        }
    }

    private int EndOf(TlsReadResult result) => result == TlsReadResult.Closed
        ? 0
        : throw new ConnectionEndedException(this, ConnectionEnd.TlsError, 0, TlsFailure, TlsFailureIsPeers);

    /// <summary>One SSL_read with its error handling; nothing may come between the calls.</summary>
    private int SslRead(byte* target, int capacity, out TlsReadResult result)
    {
        result = TlsReadResult.NeedInput;
        while (true)
        {
            OpenSslErrors.Clear();
            int n = Libssl.SSL_read(_ssl, target, capacity);
            TakeOutput();
            if (n > 0)
            {
                return n;
            }

            _tlsMore = false;
            switch (Libssl.SSL_get_error(_ssl, n))
            {
                case Libssl.SSL_ERROR_WANT_READ:
                    return 0;
                case Libssl.SSL_ERROR_WANT_WRITE:
                    SendOut();
                    GiveOutput();
                    continue;
                case Libssl.SSL_ERROR_ZERO_RETURN:
                    _peerClosedTls = true;
                    _endOfStream = true;
                    result = TlsReadResult.Closed;
                    return 0;
                default:
                    Fail("SSL_read()");
                    result = TlsReadResult.Failed;
                    return 0;
            }
        }
    }

    /// <summary>Encrypts into the out buffer, sending it on whenever a record would not fit.</summary>
    private void TlsWrite(byte* data, int length)
    {
        LoopBuffers buffers = _loop.Buffers;
        while (length > 0 && !_tlsBroken && _sendErrno == 0)
        {
            if (LoopBuffers.OutBytes - buffers.OutLength < RecordRoom)
            {
                SendOut();
            }

            SetTransfer(null, 0);
            OpenSslErrors.Clear();
            int n = Libssl.SSL_write(_ssl, data, Math.Min(length, RecordBytes));
            TakeOutput();
            if (n <= 0)
            {
                int error = Libssl.SSL_get_error(_ssl, n);
                if (error == Libssl.SSL_ERROR_WANT_WRITE)
                {
                    SendOut();
                    continue;
                }

                Fail("SSL_write()");
                FailWrites(Libc.EPROTO, "SSL_write()");
                return;
            }

            data += n;
            length -= n;
        }
    }

    private HandshakeOutcome? HandshakeStep(int received)
    {
        LoopBuffers buffers = _loop.Buffers;
        _loop.ClaimOut(this);
        SetTransfer(buffers.In, received);
        while (true)
        {
            OpenSslErrors.Clear();
            int r = Libssl.SSL_do_handshake(_ssl);
            TakeOutput();
            if (r == 1)
            {
                // The client's first command may have come in the same flight as its Finished: no event will tell.
                KeepRestOfTransfer();
                _tlsMore = MayReadOn;
                _tlsEstablished = true;

                // From here on passwords pass through, until the relay begins. During the handshake OpenSSL would wipe 17 KB after each message.
                Libssl.SSL_set_options(_ssl, Libssl.SSL_OP_CLEANSE_PLAINTEXT);
                return HandshakeOutcome.Completed;
            }

            switch (Libssl.SSL_get_error(_ssl, r))
            {
                case Libssl.SSL_ERROR_WANT_READ:
                    return null;
                case Libssl.SSL_ERROR_WANT_WRITE:
                    SendOut();
                    GiveOutput();
                    continue;
                case Libssl.SSL_ERROR_ZERO_RETURN:
                    return HandshakeOutcome.PeerClosed;
                default:
                    if (Libcrypto.ERR_peek_last_error() == 0)
                    {
                        _tlsBroken = true;
                        return HandshakeOutcome.PeerClosed;
                    }

                    Fail("SSL_do_handshake()");
                    return HandshakeOutcome.Failed;
            }
        }
    }

    /// <summary>close_notify into the out buffer, if it is due: an established session that nobody has closed or broken.</summary>
    private bool SendCloseNotify()
    {
        if (!_tlsEstablished || _tlsBroken || _peerClosedTls || _sendErrno != 0)
        {
            return false;
        }

        _loop.ClaimOut(this);
        if (LoopBuffers.OutBytes - _loop.Buffers.OutLength < RecordRoom)
        {
            SendOut();
        }

        SetTransfer(null, 0);
        OpenSslErrors.Clear();
        int r = Libssl.SSL_shutdown(_ssl);
        TakeOutput();

        // 0 = sent, the other side's not yet seen. Below: the alert did not fit; the connection ends without it.
        Libcrypto.ERR_clear_error();
        return r >= 0;
    }

    /// <summary>Gives bytes back that were read behind a PROXY header: they are the beginning of the TLS handshake.</summary>
    public void UnreadBeforeHandshake(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > 0)
        {
            _cipher = ArrayPool<byte>.Shared.Rent(bytes.Length);
            _cipherStart = 0;
            _cipherEnd = bytes.Length;
            bytes.CopyTo(_cipher);
        }
    }

    /// <summary>Handshake input into the loop's in buffer: what was given back first, then the socket.</summary>
    private int TakeCipher()
    {
        if (_cipher is null)
        {
            return ReceiveCipher();
        }

        int length = _cipherEnd - _cipherStart;
        _cipher.AsSpan(_cipherStart, length).CopyTo(new Span<byte>(_loop.Buffers.In, LoopBuffers.InBytes));
        ArrayPool<byte>.Shared.Return(_cipher);
        _cipher = null;
        return length;
    }

    private int ReceiveCipher() => Receive(_loop.Buffers.In, LoopBuffers.InBytes);

    /// <exception cref="ConnectionEndedException">There is no memory for it.</exception>
    private void CreateSsl(TlsContext context)
    {
        _ssl = context.NewConnection();
        if (_ssl == 0)
        {
            throw new ConnectionEndedException(this, ConnectionEnd.OutOfMemory);
        }

        SslOwnership.Created(_ssl);
        _loop.Bio.Attach(_ssl);
    }

    private void SetServerName(string? serverName)
    {
        if (serverName is null)
        {
            return;
        }

        nint name = Marshal.StringToCoTaskMemUTF8(serverName);
        try
        {
            // Both copy the name. 0 = out of memory.
            if (Libssl.SSL_ctrl(_ssl, Libssl.SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, (void*)name) != 1
                || Libssl.SSL_set1_host(_ssl, serverName) != 1)
            {
                throw new InvalidOperationException("SSL_set1_host() failed");
            }
        }
        finally
        {
            Marshal.FreeCoTaskMem(name);
        }
    }

    private void Fail(string call)
    {
        _tlsBroken = true;
        TlsFailureIsPeers = OpenSslErrors.LastIsPeersFault();
        TlsFailure = call + " failed" + OpenSslErrors.Drain();
    }

    private void FreeTls()
    {
        if (_cipher is not null)
        {
            ArrayPool<byte>.Shared.Return(_cipher);
            _cipher = null;
        }

        if (_ssl == 0)
        {
            return;
        }

        if (!_tlsBroken)
        {
            // Otherwise SSL_free takes the session out of the cache (openssl-binding.md 13).
            Libssl.SSL_set_shutdown(_ssl, Libssl.SSL_SENT_SHUTDOWN | Libssl.SSL_RECEIVED_SHUTDOWN);
        }

        SslOwnership.Freed(_ssl);
        Libssl.SSL_free(_ssl);
        _ssl = 0;
        _loop.Memory.Free(MemoryGate.HandshakeBytes);
    }

    /// <summary>Comes before every call that makes OpenSSL read or write.</summary>
    private void SetTransfer(byte* input, int length)
    {
        SslOwnership.Touch(_ssl);
        ref TlsTransfer transfer = ref TlsTransfer.Current;
        transfer.In = input;
        transfer.InLength = length;
        GiveOutput();
    }

    private void GiveOutput()
    {
        LoopBuffers buffers = _loop.Buffers;
        ref TlsTransfer transfer = ref TlsTransfer.Current;
        transfer.Out = buffers.Out;
        transfer.OutLength = buffers.OutLength;
        transfer.OutCapacity = LoopBuffers.OutBytes;
    }

    private void TakeOutput() => _loop.Buffers.OutLength = TlsTransfer.Current.OutLength;

    private void KeepRestOfTransfer()
    {
        ref TlsTransfer transfer = ref TlsTransfer.Current;
        if (transfer.InLength > 0)
        {
            _cipher = ArrayPool<byte>.Shared.Rent(transfer.InLength);
            _cipherStart = 0;
            _cipherEnd = transfer.InLength;
            new ReadOnlySpan<byte>(transfer.In, transfer.InLength).CopyTo(_cipher);
            transfer.InLength = 0;
        }
    }
}
