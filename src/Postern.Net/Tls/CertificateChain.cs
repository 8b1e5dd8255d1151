using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>One <c>ssl_certificate</c>: the first certificate of the source is the server's, the others follow it as its chain.</summary>
internal sealed unsafe class CertificateChain : IDisposable
{
    private readonly string _source;
    private nint _stack;

    private CertificateChain(string source)
    {
        _source = source;
    }

    /// <summary>The server's own certificate; owned by this object.</summary>
    public nint Leaf { get; private set; }

    /// <summary>The source as messages name it.</summary>
    public string Shown => PemSource.Shown(_source);

    /// <exception cref="TlsSettingsException">No certificate, or a damaged one.</exception>
    public static CertificateChain Load(string source)
    {
        using PemSource pem = PemSource.Open(source, "certificate");
        var chain = new CertificateChain(source);
        try
        {
            chain.Read(pem.Bio);
            return chain;
        }
        catch
        {
            chain.Dispose();
            throw;
        }
    }

    /// <summary>Makes this the context's certificate of its type, with its own chain.</summary>
    /// <exception cref="TlsSettingsException">OpenSSL refused it (a key too small for the security level, for example).</exception>
    public void UseIn(nint context)
    {
        if (Libssl.SSL_CTX_use_certificate(context, Leaf) != 1)
        {
            throw TlsContextFactory.Failure($"SSL_CTX_use_certificate(\"{Shown}\") failed");
        }

        // The stack and what is in it pass to the context only if it accepts them.
        if (Libssl.SSL_CTX_ctrl(context, Libssl.SSL_CTRL_CHAIN, 0, (void*)_stack) != 1)
        {
            throw TlsContextFactory.Failure($"SSL_CTX_set0_chain(\"{Shown}\") failed");
        }

        _stack = 0;
    }

    public void Dispose()
    {
        Libcrypto.X509_free(Leaf);
        Leaf = 0;
        if (_stack != 0)
        {
            for (int i = 0; i < Libcrypto.OPENSSL_sk_num(_stack); i++)
            {
                Libcrypto.X509_free(Libcrypto.OPENSSL_sk_value(_stack, i));
            }

            Libcrypto.OPENSSL_sk_free(_stack);
            _stack = 0;
        }
    }

    private void Read(nint bio)
    {
        Leaf = Libcrypto.PEM_read_bio_X509_AUX(bio, 0, 0, 0);
        if (Leaf == 0)
        {
            throw TlsContextFactory.Failure($"cannot load certificate \"{Shown}\": PEM_read_bio_X509_AUX() failed");
        }

        _stack = Libcrypto.OPENSSL_sk_new_null();
        while (true)
        {
            nint next = Libcrypto.PEM_read_bio_X509(bio, 0, 0, 0);
            if (next == 0)
            {
                break;
            }

            if (Libcrypto.OPENSSL_sk_push(_stack, next) <= 0)
            {
                Libcrypto.X509_free(next);
                throw TlsContextFactory.Failure("OPENSSL_sk_push() failed");
            }
        }

        if (!PemSource.TakeEnd())
        {
            throw TlsContextFactory.Failure($"cannot load certificate \"{Shown}\": PEM_read_bio_X509() failed");
        }
    }
}
