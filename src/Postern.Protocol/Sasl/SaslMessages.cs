namespace Postern.Protocol.Sasl;

/// <summary>What is wrong with a client's SASL response. The client always gets the protocol's invalid-command reply.</summary>
public enum SaslFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The response is not base64 (a cancelling <c>*</c> included).</summary>
    InvalidBase64,

    /// <summary>PLAIN: no NUL, or nothing behind it.</summary>
    InvalidLogin,

    /// <summary>PLAIN: no second NUL.</summary>
    InvalidPassword,

    /// <summary>CRAM-MD5: no space, or a digest that is not 32 bytes.</summary>
    InvalidHash,
}

/// <summary>The log texts of faults (level info).</summary>
public static class SaslFaultText
{
    /// <summary><c>client sent invalid WHAT in AUTH MECHANISM command</c>.</summary>
    /// <param name="fault">Not None.</param>
    /// <param name="mechanism">Not Unknown.</param>
    /// <param name="text">Receives the text; 64 bytes suffice.</param>
    /// <returns>Bytes written.</returns>
    public static int Write(SaslFault fault, SaslMechanism mechanism, Span<byte> text)
    {
        ReadOnlySpan<byte> what = fault switch
        {
            SaslFault.InvalidBase64 => "base64 encoding"u8,
            SaslFault.InvalidLogin => "login"u8,
            SaslFault.InvalidPassword => "password"u8,
            _ => "CRAM-MD5 hash"u8,
        };
        int length = 0;
        Put("client sent invalid "u8, text, ref length);
        Put(what, text, ref length);
        Put(" in AUTH "u8, text, ref length);
        Put(SaslMechanismName.Of(mechanism), text, ref length);
        Put(" command"u8, text, ref length);
        return length;
    }

    private static void Put(ReadOnlySpan<byte> part, Span<byte> text, ref int length)
    {
        part.CopyTo(text[length..]);
        length += part.Length;
    }
}

/// <summary>A decoded PLAIN response, <c>[authzid] NUL authcid NUL password</c> (RFC 4616 section 2). The ranges point into it.</summary>
/// <param name="Authcid">Who signs in; may be empty.</param>
/// <param name="Password">Everything behind the second NUL; may be empty and may hold NULs.</param>
public readonly record struct PlainMessage(ByteRange Authcid, ByteRange Password)
{
    /// <summary>Takes a decoded response apart. The authzid is ignored.</summary>
    public static SaslFault TryParse(ReadOnlySpan<byte> decoded, out PlainMessage message)
    {
        message = default;
        int first = decoded.IndexOf((byte)0);
        if (first < 0 || first == decoded.Length - 1)
        {
            return SaslFault.InvalidLogin;
        }

        int authcid = first + 1;
        int length = decoded[authcid..].IndexOf((byte)0);
        if (length < 0)
        {
            return SaslFault.InvalidPassword;
        }

        int password = authcid + length + 1;
        message = new PlainMessage(new ByteRange(authcid, length), new ByteRange(password, decoded.Length - password));
        return SaslFault.None;
    }
}

/// <summary>A decoded CRAM-MD5 response, <c>login SP digest</c> (RFC 2195 section 2). The ranges point into it.</summary>
/// <param name="Login">Everything before the first space; may be empty.</param>
/// <param name="Digest">Exactly 32 bytes; whether they are hex digits is for the auth server to judge.</param>
public readonly record struct CramMd5Message(ByteRange Login, ByteRange Digest)
{
    /// <summary>Bytes of an MD5 digest in hex.</summary>
    public const int DigestBytes = 32;

    /// <summary>Takes a decoded response apart.</summary>
    public static SaslFault TryParse(ReadOnlySpan<byte> decoded, out CramMd5Message message)
    {
        int space = decoded.IndexOf((byte)' ');
        if (space < 0 || decoded.Length - space - 1 != DigestBytes)
        {
            message = default;
            return SaslFault.InvalidHash;
        }

        message = new CramMd5Message(new ByteRange(0, space), new ByteRange(space + 1, DigestBytes));
        return SaslFault.None;
    }
}
