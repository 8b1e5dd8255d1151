using System.Text;
using BenchmarkDotNet.Attributes;
using Postern.Protocol.Sasl;

namespace Postern.MicroBenchmarks;

/// <summary>A client's SASL response (RFC 4422): the line, its base64, and what is in it.</summary>
[MemoryDiagnoser]
public class SaslBenchmarks
{
    private const int ImapWords = 3;

    private readonly SaslLineParser _parser = new(4096, ImapWords);
    private readonly byte[] _line = Encoding.ASCII.GetBytes(Convert.ToBase64String("\0user@example.org\0a secret"u8) + "\r\n");
    private readonly byte[] _plain = "\0user@example.org\0a secret"u8.ToArray();
    private readonly byte[] _cramMd5 = "user@example.org b913a602c7eda7a495b4e6e7334d3890"u8.ToArray();
    private readonly byte[] _decoded = new byte[256];

    [Benchmark]
    public SaslLine Line()
    {
        _parser.Reset();
        return _parser.Parse(_line);
    }

    [Benchmark]
    public int Base64()
    {
        _ = SaslBase64.TryDecode(_line.AsSpan(0, _line.Length - 2), _decoded, out int written);
        return written;
    }

    [Benchmark]
    public PlainMessage Plain()
    {
        _ = PlainMessage.TryParse(_plain, out PlainMessage message);
        return message;
    }

    [Benchmark]
    public CramMd5Message CramMd5()
    {
        _ = CramMd5Message.TryParse(_cramMd5, out CramMd5Message message);
        return message;
    }
}
