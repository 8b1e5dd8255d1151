using BenchmarkDotNet.Attributes;
using Postern.Net;
using Postern.Protocol.ProxyProtocol;

namespace Postern.MicroBenchmarks;

/// <summary>PROXY protocol headers in and out, versions 1 and 2, IPv4.</summary>
[MemoryDiagnoser]
public class ProxyHeaderBenchmarks
{
    private readonly ScratchWriter _writer = new();
    private readonly byte[] _version1 = "PROXY TCP4 192.0.2.55 198.51.100.7 50123 993\r\n"u8.ToArray();
    private readonly byte[] _version2;
    private readonly ProxyHeaderFacts _facts = new()
    {
        ClientAddress = new byte[] { 192, 0, 2, 55 },
        ClientPort = 50123,
        LocalAddress = new byte[] { 198, 51, 100, 7 },
        LocalPort = 993,
        Tls = new ProxyTlsFacts { Version = "TLSv1.3", Cipher = "TLS_AES_256_GCM_SHA384" },
    };

    public ProxyHeaderBenchmarks()
    {
        ProxyHeaderWriter.WriteVersion2(_facts, _writer.Reset());
        _version2 = _writer.Written.ToArray();
    }

    [Benchmark]
    public ProxyHeaderParse ParseVersion1() => ProxyHeaderParser.Parse(_version1);

    [Benchmark]
    public ProxyHeaderParse ParseVersion2() => ProxyHeaderParser.Parse(_version2);

    [Benchmark]
    public int WriteVersion1()
    {
        ProxyHeaderWriter.WriteVersion1(_facts, _writer.Reset());
        return _writer.Written.Length;
    }

    [Benchmark]
    public int WriteVersion2()
    {
        ProxyHeaderWriter.WriteVersion2(_facts, _writer.Reset());
        return _writer.Written.Length;
    }
}
