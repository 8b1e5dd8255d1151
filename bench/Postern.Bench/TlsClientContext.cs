namespace Postern.Bench;

/// <summary>What kind of TLS the clients of one run speak.</summary>
internal enum TlsKind
{
    None,
    Tls13,
    Tls12,
}

/// <summary>The client side's <c>SSL_CTX</c> for one TLS version, and the session that resuming clients offer.</summary>
internal sealed class TlsClientContext
{
    private readonly nint _context;
    private nint _session;

    /// <param name="kind">The one version spoken.</param>
    public TlsClientContext(TlsKind kind)
    {
        _context = Native.SSL_CTX_new(Native.TLS_client_method());
        int version = kind == TlsKind.Tls12 ? Native.TLS1_2_VERSION : Native.TLS1_3_VERSION;
        _ = Native.SSL_CTX_ctrl(_context, Native.SSL_CTRL_SET_MIN_PROTO_VERSION, version, 0);
        _ = Native.SSL_CTX_ctrl(_context, Native.SSL_CTRL_SET_MAX_PROTO_VERSION, version, 0);
        _ = Native.SSL_CTX_ctrl(_context, Native.SSL_CTRL_SET_READ_AHEAD, 1, 0);
        _ = Native.SSL_CTX_ctrl(
            _context,
            Native.SSL_CTRL_MODE,
            Native.SSL_MODE_ENABLE_PARTIAL_WRITE | Native.SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | Native.SSL_MODE_RELEASE_BUFFERS,
            0);
        _ = Native.SSL_CTX_set_options(_context, Native.SSL_OP_IGNORE_UNEXPECTED_EOF);
    }

    /// <summary>Whether clients offer the session of an earlier one; off = every handshake is a full one.</summary>
    public bool Resumes { get; init; }

    /// <summary>Set when the proxy must not give tickets: the session is named by its id (RFC 5246 section 7.4.1.2).</summary>
    public bool ResumesById { get; init; }

    /// <summary>Whether there is a session to offer.</summary>
    public bool HasSession => _session != 0;

    /// <summary>A client's SSL object on its socket; the caller frees it.</summary>
    public nint Open(int descriptor)
    {
        nint ssl = Native.SSL_new(_context);
        _ = Native.SSL_set_fd(ssl, descriptor);
        Native.SSL_set_connect_state(ssl);
        if (Resumes && _session != 0)
        {
            _ = Native.SSL_set_session(ssl, _session);
        }

        return ssl;
    }

    /// <summary>Keeps the session of the first client. Call once its tickets have been read.</summary>
    public void Learn(nint ssl)
    {
        if (Resumes && _session == 0)
        {
            _session = Native.SSL_get1_session(ssl);
            if (ResumesById && Native.SSL_SESSION_has_ticket(_session) == 1)
            {
                throw new LoadFailedException("the proxy gave a ticket where it should not");
            }
        }
    }

    /// <summary>Forgets the session: it belongs to one proxy.</summary>
    public void Forget()
    {
        if (_session != 0)
        {
            Native.SSL_SESSION_free(_session);
            _session = 0;
        }
    }
}
