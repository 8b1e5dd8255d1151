namespace Postern.Net;

/// <summary>Why a connection cannot be used any more.</summary>
public enum ConnectionEnd
{
    /// <summary>The other side closed it.</summary>
    EndOfStream,

    /// <summary>A system call failed; <see cref="ConnectionEndedException.Errno"/> says how.</summary>
    SocketError,

    /// <summary>OpenSSL failed; <see cref="ConnectionEndedException.Detail"/> holds its queue.</summary>
    TlsError,

    /// <summary>The deadline of the current step passed.</summary>
    TimedOut,

    /// <summary><c>worker_shutdown_timeout</c> passed.</summary>
    ShutdownTimeout,

    /// <summary>There is no memory for who has not signed in.</summary>
    OutOfMemory,
}

/// <summary>
/// Leaves a dialogue when its connection ends; caught once by whoever runs the dialogue. Never carries bytes of the peer.
/// </summary>
public sealed class ConnectionEndedException : Exception
{
    public ConnectionEndedException()
    {
    }

    public ConnectionEndedException(string message)
        : base(message)
    {
    }

    public ConnectionEndedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal ConnectionEndedException(Connection connection, ConnectionEnd end, int errno = 0, string detail = "", bool peersFault = true)
        : base(end.ToString())
    {
        Connection = connection;
        End = end;
        Errno = errno;
        Detail = detail;
        PeersFault = peersFault;
    }

    public Connection? Connection { get; }

    public ConnectionEnd End { get; }

    /// <summary>The Linux errno of <see cref="ConnectionEnd.SocketError"/>.</summary>
    public int Errno { get; }

    /// <summary>Name of the call that failed and OpenSSL's texts: <c>SSL_read() failed (SSL: …)</c>.</summary>
    public string Detail { get; } = "";

    /// <summary>For <see cref="ConnectionEnd.TlsError"/>: whether the other side caused it (logged at info) or we (crit).</summary>
    public bool PeersFault { get; }
}
