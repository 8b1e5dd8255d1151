using System.Security.Cryptography;
using Postern.Config;

namespace Postern.Net.Tls;

/// <summary>
/// The files of one server's TLS settings, read by a process that has the right to, for one that will make the context without it
/// (<see cref="ConfigEnvironment.DefersTls"/>).
/// </summary>
internal static class TlsFiles
{
    /// <summary>Has <see cref="ConfigFiles.Current"/> read them all. One that cannot be read is missed by whoever makes the context.</summary>
    /// <param name="settings">The merged directives; passphrases have been read already.</param>
    /// <param name="remark">Takes what only a process with rights can see: whether others can read a key file.</param>
    public static void Read(TlsServerSettings settings, Action<ConfigSeverity, string> remark)
    {
        IEnumerable<string?> paths =
        [
            .. settings.Certificates,
            .. settings.CertificateKeys,
            settings.DhParam,
            settings.ClientAuthorities,
            settings.TrustedAuthorities,
            settings.RevocationLists,
            .. settings.TicketKeys,
        ];

        // What does not begin so is no file: data:, engine:, store:.
        foreach (string path in paths.OfType<string>().Where(path => path.StartsWith('/')))
        {
            CryptographicOperations.ZeroMemory(ConfigFiles.Current.TryReadSecret(path));
        }

        foreach (string key in settings.CertificateKeys)
        {
            CertificateNotices.CheckKeyFile(key, remark);
        }
    }
}
