using System.Buffers;

namespace Postern.Protocol.Sasl;

/// <summary>Lines that ask for a SASL response: the protocol's prefix and a challenge in base64.</summary>
public static class SaslChallenge
{
    /// <summary>What LOGIN, and EXTERNAL as nginx has it, ask first.</summary>
    public static ReadOnlySpan<byte> Username => "Username:"u8;

    public static ReadOnlySpan<byte> Password => "Password:"u8;

    /// <param name="prefix">The protocol's <c>ChallengePrefix</c>, its space included.</param>
    /// <param name="challenge">The plain bytes; may be empty.</param>
    /// <param name="destination">Where the line is written.</param>
    public static void Write(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> challenge, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        destination.Write(prefix);
        SaslBase64.Encode(challenge, destination);
        destination.Write("\r\n"u8);
    }
}
