using System.Globalization;
using System.Text;
using Postern.Config;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>What an administrator should hear of at start and reload before the clients do.</summary>
internal static unsafe class CertificateNotices
{
    /// <summary>Time enough to renew.</summary>
    private const int WarnDays = 14;

    /// <param name="shown">The certificate's name in messages.</param>
    /// <param name="x509">The server's own certificate.</param>
    /// <param name="remark">Takes the notice.</param>
    public static void CheckValidity(string shown, nint x509, Action<ConfigSeverity, string> remark)
    {
        nint end = Libcrypto.X509_get0_notAfter(x509);
        int days, seconds;
        if (Libcrypto.ASN1_TIME_diff(&days, &seconds, 0, end) != 1)
        {
            Libcrypto.ERR_clear_error();
            return;
        }

        if (days < 0 || seconds < 0)
        {
            remark(ConfigSeverity.Notice, $"certificate \"{shown}\" has expired at {Print(end)}");
        }
        else if (days < WarnDays)
        {
            remark(ConfigSeverity.Notice, string.Create(CultureInfo.InvariantCulture, $"certificate \"{shown}\" expires in {days} days, at {Print(end)}"));
        }

        nint begin = Libcrypto.X509_get0_notBefore(x509);
        if (Libcrypto.ASN1_TIME_diff(&days, &seconds, 0, begin) == 1 && (days > 0 || seconds > 0))
        {
            remark(ConfigSeverity.Notice, $"certificate \"{shown}\" is not valid before {Print(begin)}");
        }
    }

    /// <param name="source">A key as configured; only files are looked at.</param>
    /// <param name="remark">Takes the notice.</param>
    public static void CheckKeyFile(string source, Action<ConfigSeverity, string> remark)
    {
        const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        if (OperatingSystem.IsWindows() || !source.StartsWith('/') || !File.Exists(source))
        {
            return;
        }

        UnixFileMode mode = File.GetUnixFileMode(source);
        if ((mode & Others) != 0)
        {
            remark(ConfigSeverity.Notice, $"certificate key \"{source}\" can be read by others than its owner (mode {Convert.ToString((int)mode, 8).PadLeft(4, '0')})");
        }
    }

    private static string Print(nint time)
    {
        nint bio = Libcrypto.BIO_new(Libcrypto.BIO_s_mem());
        try
        {
            _ = Libcrypto.ASN1_TIME_print(bio, time);
            byte* text;
            nint length = Libcrypto.BIO_ctrl(bio, Libcrypto.BIO_CTRL_INFO, 0, &text);
            return Encoding.ASCII.GetString(text, (int)length);
        }
        finally
        {
            _ = Libcrypto.BIO_free(bio);
        }
    }
}
