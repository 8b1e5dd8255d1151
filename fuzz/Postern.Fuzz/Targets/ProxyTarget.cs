using System.Buffers;
using Postern.Protocol.ProxyProtocol;

namespace Postern.Fuzz.Targets;

/// <summary>PROXY headers of both versions, complete and in pieces.</summary>
internal sealed class ProxyTarget : IFuzzTarget
{
    private static readonly SearchValues<byte> _addressBytes = SearchValues.Create("0123456789abcdefABCDEF.:"u8);

    public string Name => "proxy";

    public IReadOnlyList<string> Dictionary =>
        ["PROXY ", "TCP4 ", "TCP6 ", "UNKNOWN", "192.0.2.1 ", "::1 ", "65535", "\r\n", "\r\n\r\n\0\r\nQUIT\n", "\x21\x11\0\x0c", "\x21\x21\0\x24", "\x20\0\0\0"];

    public int MaxBytes => 300;

    public void Run(ReadOnlySpan<byte> input)
    {
        ProxyHeaderParse whole = ProxyHeaderParser.Parse(input);
        Check(whole, input);
        for (int end = 0; end <= input.Length; end++)
        {
            ProxyHeaderParse part = ProxyHeaderParser.Parse(input[..end]);
            if (part.Status == ProxyHeaderStatus.NeedMore)
            {
                continue;
            }

            Oracle.Holds(part.Status == whole.Status && part.Consumed == whole.Consumed, "the outcome depends on the fragmentation");
            return;
        }

        Oracle.Holds(whole.Status == ProxyHeaderStatus.NeedMore, "the outcome depends on the fragmentation");
    }

    private static void Check(ProxyHeaderParse parse, ReadOnlySpan<byte> input)
    {
        _ = ProxyHeaderFailureText.FirstLine(input);
        if (parse.Status != ProxyHeaderStatus.Complete)
        {
            Oracle.Holds(parse.Consumed == 0, "bytes of no header");
            return;
        }

        Oracle.Holds(parse.Consumed > 0 && parse.Consumed <= input.Length, "a header beyond the input");
        ReadOnlySpan<byte> header = input[..parse.Consumed];
        _ = parse.Tlvs.In(header);
        ReadOnlySpan<byte> source = parse.Source.In(header);
        ReadOnlySpan<byte> destination = parse.Destination.In(header);
        Oracle.Holds(parse.SourcePort is >= 0 and <= 65535 && parse.DestinationPort is >= 0 and <= 65535, "port");
        int bytes = parse.AddressKind switch { ProxyAddressKind.Inet => 4, ProxyAddressKind.Inet6 => 16, ProxyAddressKind.None => 0, _ => -1 };
        Oracle.Holds(bytes < 0 || (source.Length == bytes && destination.Length == bytes), "address");
        if (parse.AddressKind == ProxyAddressKind.Text)
        {
            // They go to the auth server as they are.
            Oracle.Holds(!source.ContainsAnyExcept(_addressBytes) && !destination.ContainsAnyExcept(_addressBytes), "text");
        }
    }
}
