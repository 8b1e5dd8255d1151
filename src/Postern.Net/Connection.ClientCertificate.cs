using System.Runtime.InteropServices;
using Postern.Interop;
using Postern.Net.Tls;

namespace Postern.Net;

/// <summary>The client's certificate. Result and certificate are part of the session, so resumed connections have them too.</summary>
public sealed partial class Connection
{
    /// <summary>Whether our side asked for a certificate (<c>ssl_verify_client</c> other than off).</summary>
    public bool AsksForCertificate => _ssl != 0 && Libssl.SSL_get_verify_mode(_ssl) != Libssl.SSL_VERIFY_NONE;

    /// <summary>How verification of the peer's certificate ended (X509_V_…); 0 = well, or there is none.</summary>
    public int VerifyResult => (int)Libssl.SSL_get_verify_result(_ssl);

    /// <summary><see cref="VerifyResult"/> in OpenSSL's words.</summary>
    public string VerifyResultText => Marshal.PtrToStringUTF8(Libcrypto.X509_verify_cert_error_string(VerifyResult)) ?? "";

    /// <summary>The peer's certificate, or null.</summary>
    public ClientCertificate? PeerCertificate =>
        Libssl.SSL_get0_peer_certificate(_ssl) is var x509 and not 0 ? ClientCertificate.Of(x509) : null;

    /// <summary>The peer's certificate in PEM; empty if there is none.</summary>
    public byte[] GetPeerCertificatePem() =>
        Libssl.SSL_get0_peer_certificate(_ssl) is var x509 and not 0 ? ClientCertificate.PemOf(x509) : [];

    /// <summary>
    /// Judges the client after a completed handshake. A refused one's session is forgotten: its next attempt starts anew.
    /// </summary>
    public ClientCertificateFault CheckCertificate(ClientCertificatePolicy policy)
    {
        if (policy == ClientCertificatePolicy.Off)
        {
            return ClientCertificateFault.None;
        }

        int result = VerifyResult;
        bool failed = result != Libcrypto.X509_V_OK && !(policy == ClientCertificatePolicy.OptionalNoCa && IsUnknownIssuer(result));
        ClientCertificateFault fault = failed ? ClientCertificateFault.Failed
            : policy == ClientCertificatePolicy.On && Libssl.SSL_get0_peer_certificate(_ssl) == 0 ? ClientCertificateFault.Missing
            : ClientCertificateFault.None;
        if (fault != ClientCertificateFault.None)
        {
            _ = Libssl.SSL_CTX_remove_session(Libssl.SSL_get_SSL_CTX(_ssl), Libssl.SSL_get_session(_ssl));
        }

        return fault;
    }

    /// <summary>
    /// Self-signed, self-signed in the chain, issuer not found, leaf not verifiable, not trusted: what a client without a known
    /// authority ends with.
    /// </summary>
    private static bool IsUnknownIssuer(int result) => result is 18 or 19 or 20 or 21 or 27;
}
