using System.Security.Cryptography;
using Postern.Net;

namespace Postern.Auth;

/// <summary>The word of the <c>Auth-Method</c> header.</summary>
public enum AuthMethod
{
    Plain,
    Apop,
    CramMd5,
    External,
    None,
}

/// <summary>
/// What one sign-in attempt brought. Owns its bytes; made anew for each attempt, so that nothing of an earlier one is
/// left, and wiped when the attempt is over.
/// </summary>
/// <param name="method">How the client signed in.</param>
/// <param name="login">Any bytes; may be empty.</param>
/// <param name="secret">From <see cref="SecretBuffers"/>. Password, or the digest of CRAM-MD5 and APOP; empty for EXTERNAL.</param>
/// <param name="salt">The challenge, for CRAM-MD5 and APOP; otherwise empty.</param>
public sealed class Credentials(AuthMethod method, byte[] login, byte[] secret, byte[] salt) : IDisposable
{
    public AuthMethod Method { get; } = method;

    public byte[] Login { get; private set; } = login;

    /// <summary>What the auth server is asked with: for CRAM-MD5 the digest stays here over WAIT retries.</summary>
    public byte[] Secret { get; private set; } = secret;

    public byte[] Salt { get; } = salt;

    /// <summary>The password for the backend; null when only the auth server can supply it.</summary>
    public byte[]? Password { get; private set; } = method == AuthMethod.Plain ? secret : null;

    /// <summary>The auth server named another login (<c>Auth-User</c>).</summary>
    public void ReplaceLogin(ReadOnlySpan<byte> login) => Login = login.ToArray();

    /// <summary>The auth server gave the password for the backend (<c>Auth-Pass</c>).</summary>
    public void ReplacePassword(ReadOnlySpan<byte> password)
    {
        Wipe();
        Password = SecretBuffers.Copy(password);
        if (Method == AuthMethod.Plain)
        {
            Secret = Password;
        }
    }

    /// <summary>Wipes the secrets.</summary>
    public void Dispose()
    {
        Wipe();
        CryptographicOperations.ZeroMemory(Secret);
        Secret = [];
    }

    /// <summary>Never the secrets.</summary>
    public override string ToString() => Method.ToString();

    private void Wipe()
    {
        CryptographicOperations.ZeroMemory(Password);
        Password = null;
    }
}
