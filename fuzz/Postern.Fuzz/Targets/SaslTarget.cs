using Postern.Protocol.Sasl;

namespace Postern.Fuzz.Targets;

/// <summary>Lines of a SASL exchange, decoded as each mechanism would.</summary>
internal sealed class SaslTarget : IFuzzTarget
{
    private const int Capacity = 200;

    public string Name => "sasl";

    public IReadOnlyList<string> Dictionary => ["AHVzZXIAcGFzcw==", "=", "*", "\r\n", " ", "dXNlciAxMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMQ=="];

    public void Run(ReadOnlySpan<byte> input)
    {
        SaslLine whole = new SaslLineParser(Capacity, 3).Parse(input);
        var parser = new SaslLineParser(Capacity, 3);
        SaslLine line = default;
        for (int end = 0; end <= input.Length && line.Status == SaslLineStatus.NeedMore; end++)
        {
            line = parser.Parse(input[..end]);
        }

        Oracle.Holds(whole == line, "the outcome depends on the fragmentation");
        if (whole.Status == SaslLineStatus.Complete)
        {
            Decode(whole.Word.In(input));
        }

        // The messages also without the armour of base64, so that they are reached often.
        Read(input);
    }

    private static void Decode(ReadOnlySpan<byte> word)
    {
        byte[] decoded = new byte[SaslBase64.MaxDecodedBytes(word.Length)];
        if (SaslBase64.TryDecode(word, decoded, out int length))
        {
            Read(decoded.AsSpan(0, length));
        }
    }

    private static void Read(ReadOnlySpan<byte> message)
    {
        if (PlainMessage.TryParse(message, out PlainMessage plain) == SaslFault.None)
        {
            Oracle.Holds(!plain.Authcid.In(message).Contains((byte)0), "NUL in the login of PLAIN");
            Oracle.Holds(plain.Password.End == message.Length, "the password is not the rest");
        }

        if (CramMd5Message.TryParse(message, out CramMd5Message cram) == SaslFault.None)
        {
            Oracle.Holds(!cram.Login.In(message).Contains((byte)' ') && cram.Digest.In(message).Length == CramMd5Message.DigestBytes, "CRAM-MD5");
        }
    }
}
