using System.Buffers;
using System.Text;

namespace Postern.Protocol.Sasl;

/// <summary>The mechanism a client named.</summary>
public enum SaslMechanism
{
    /// <summary>None of ours.</summary>
    Unknown,
    Plain,
    Login,
    CramMd5,
    External,
}

/// <summary>
/// A set of mechanisms to advertise. The numbers are those of <c>AuthMethods</c> in the settings, so the bits can be cast.
/// </summary>
[Flags]
public enum SaslMechanisms
{
    None = 0,
    Plain = 1,
    Login = 2,
    CramMd5 = 4,
    External = 8,
}

/// <summary>Mechanism names (RFC 4422 section 3.1).</summary>
public static class SaslMechanismName
{
    /// <summary>Recognises a name without regard to case.</summary>
    public static SaslMechanism Parse(ReadOnlySpan<byte> name) => name.Length switch
    {
        5 when Ascii.EqualsIgnoreCase(name, "PLAIN"u8) => SaslMechanism.Plain,
        5 when Ascii.EqualsIgnoreCase(name, "LOGIN"u8) => SaslMechanism.Login,
        8 when Ascii.EqualsIgnoreCase(name, "CRAM-MD5"u8) => SaslMechanism.CramMd5,
        8 when Ascii.EqualsIgnoreCase(name, "EXTERNAL"u8) => SaslMechanism.External,
        _ => SaslMechanism.Unknown,
    };

    /// <summary>The name as it is written in log lines and capability replies; empty for Unknown.</summary>
    public static ReadOnlySpan<byte> Of(SaslMechanism mechanism) => mechanism switch
    {
        SaslMechanism.Plain => "PLAIN"u8,
        SaslMechanism.Login => "LOGIN"u8,
        SaslMechanism.CramMd5 => "CRAM-MD5"u8,
        SaslMechanism.External => "EXTERNAL"u8,
        _ => default,
    };

    /// <summary>The names of a set in nginx's order, each between <paramref name="before"/> and <paramref name="behind"/>.</summary>
    public static void WriteList(
        SaslMechanisms mechanisms, ReadOnlySpan<byte> before, ReadOnlySpan<byte> behind, IBufferWriter<byte> destination)
    {
        for (SaslMechanism mechanism = SaslMechanism.Plain; mechanism <= SaslMechanism.External; mechanism++)
        {
            if (mechanisms.HasFlag((SaslMechanisms)(1 << (mechanism - SaslMechanism.Plain))))
            {
                destination.Write(before);
                destination.Write(Of(mechanism));
                destination.Write(behind);
            }
        }
    }
}
