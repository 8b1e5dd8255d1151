using System.Text;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>What is wrong with a client under its server's certificate policy.</summary>
public enum ClientCertificateFault
{
    None,

    /// <summary>It sent a certificate that does not verify.</summary>
    Failed,

    /// <summary>It sent none, but one is required.</summary>
    Missing,
}

/// <summary>A client's certificate as the auth server is told of it (TLS reference, section 6).</summary>
/// <param name="Subject">RFC 2253 form, pure ASCII without control characters.</param>
/// <param name="Issuer">As <paramref name="Subject"/>.</param>
/// <param name="Serial">Upper-case hex digits, an even number of them; a minus sign in front of a negative number.</param>
/// <param name="Fingerprint">SHA-1 of the DER form, 40 lower-case hex digits.</param>
public sealed record ClientCertificate(string Subject, string Issuer, string Serial, string Fingerprint)
{
    internal static unsafe ClientCertificate Of(nint x509) => new(
        NameText(Libcrypto.X509_get_subject_name(x509)),
        NameText(Libcrypto.X509_get_issuer_name(x509)),
        SerialText(Libcrypto.X509_get0_serialNumber(x509)),
        Convert.ToHexStringLower(TlsDigest.OfCertificate(x509)));

    /// <summary>PEM with 64-column lines and LF.</summary>
    internal static byte[] PemOf(nint x509) => Collect(bio => Libcrypto.PEM_write_bio_X509(bio, x509));

    private static string NameText(nint name) =>
        Encoding.ASCII.GetString(Collect(bio => Libcrypto.X509_NAME_print_ex(bio, name, 0, Libcrypto.XN_FLAG_RFC2253)));

    /// <summary>From the bytes: OpenSSL's own printer breaks long numbers into lines, and these go into a header.</summary>
    private static unsafe string SerialText(nint number)
    {
        int length = Libcrypto.ASN1_STRING_length(number);
        string sign = Libcrypto.ASN1_STRING_type(number) == Libcrypto.V_ASN1_NEG_INTEGER ? "-" : "";
        return length == 0
            ? "00"
            : sign + Convert.ToHexString(new ReadOnlySpan<byte>(Libcrypto.ASN1_STRING_get0_data(number), length));
    }

    private static unsafe byte[] Collect(Func<nint, int> write)
    {
        nint bio = Libcrypto.BIO_new(Libcrypto.BIO_s_mem());
        try
        {
            _ = write(bio);
            byte* text;
            nint length = Libcrypto.BIO_ctrl(bio, Libcrypto.BIO_CTRL_INFO, 0, &text);
            return new ReadOnlySpan<byte>(text, (int)length).ToArray();
        }
        finally
        {
            _ = Libcrypto.BIO_free(bio);
        }
    }
}
