using Postern.Interop;
using Postern.Net.Tls;

namespace Postern.Net;

/// <summary>The handshake dialogues; the steps themselves, which must not be interrupted by an await, are in Connection.Tls.cs.</summary>
public sealed partial class Connection
{
    /// <summary>Runs the handshake as the server. The SSL object (about 50 KB while it waits) is made at the first byte.</summary>
    /// <exception cref="ConnectionEndedException">Aborted by a deadline, or there is no memory for it.</exception>
    public async ValueTask<HandshakeOutcome> HandshakeAsServerAsync(TlsContext context)
    {
        while (true)
        {
            int n = TakeCipher();
            if (n == WouldBlock)
            {
                await Readable();
                continue;
            }

            if (n <= 0)
            {
                HandshakeErrno = -n;
                return HandshakeOutcome.PeerClosed;
            }

            if (_ssl == 0)
            {
                _loop.Memory.Take(MemoryGate.HandshakeBytes, _loop.Now);
                if (!_loop.Memory.HasRoom(_loop.Now))
                {
                    throw new ConnectionEndedException(this, ConnectionEnd.OutOfMemory);
                }

                CreateSsl(context);
                Libssl.SSL_set_accept_state(_ssl);
            }

            HandshakeOutcome? outcome = HandshakeStep(n);
            if (outcome is not null)
            {
                return outcome.Value;
            }
        }
    }

    /// <summary>Runs the handshake as the client (towards backends and https auth servers).</summary>
    /// <param name="context">A client context.</param>
    /// <param name="serverName">Sent as SNI and checked against the certificate if the context verifies; null = neither.</param>
    /// <exception cref="ConnectionEndedException">Aborted by a deadline.</exception>
    public async ValueTask<HandshakeOutcome> HandshakeAsClientAsync(TlsContext context, string? serverName)
    {
        CreateSsl(context);
        SetServerName(serverName);
        Libssl.SSL_set_connect_state(_ssl);
        HandshakeOutcome? outcome = HandshakeStep(0);
        while (outcome is null)
        {
            int n = ReceiveCipher();
            if (n == WouldBlock)
            {
                await Readable();
                continue;
            }

            if (n <= 0)
            {
                HandshakeErrno = -n;
                return HandshakeOutcome.PeerClosed;
            }

            outcome = HandshakeStep(n);
        }

        return outcome.Value;
    }
}
