using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using Postern.Net.Tls;

namespace Postern.MicroBenchmarks;

/// <summary>
/// A full <c>ssl_session_cache shared:S:10m</c> under one loop and several: the time of a lookup that finds, and of an insertion that
/// pushes out the oldest session. All loops do the same, and nothing else, without pause.
/// </summary>
[MemoryDiagnoser]
public class SharedSessionCacheBenchmarks
{
    private const int Operations = 200_000;
    private const int SessionBytes = 130;
    private const long CacheBytes = 10 << 20;
    private const long Expires = long.MaxValue;

    private readonly SharedSessionCache _cache = new(new SharedCacheZone("S", CacheBytes), TimeProvider.System);

    [Params(1, 2, 4)]
    public int Loops { get; set; }

    [GlobalSetup]
    public void Fill() => Add(0, (int)(CacheBytes / SharedSessionCache.UnitBytes));

    [Benchmark(OperationsPerInvoke = Operations)]
    public void Insertions() => OnLoops(loop => Add((loop + 1) * Operations, Operations));

    [Benchmark(OperationsPerInvoke = Operations)]
    public void Lookups() => OnLoops(_ =>
    {
        Span<byte> id = stackalloc byte[SharedSessionCache.MaxIdBytes];
        Span<byte> session = stackalloc byte[SharedSessionCache.MaxSessionBytes];
        id.Clear();
        for (int i = 0; i < Operations; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(id, i & 0xFFF);
            _ = _cache.Find(id, session);
        }
    });

    private void Add(int first, int count)
    {
        Span<byte> id = stackalloc byte[SharedSessionCache.MaxIdBytes];
        Span<byte> session = stackalloc byte[SessionBytes];
        id.Clear();
        session.Clear();
        for (int i = first; i < first + count; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(id, i);
            _cache.Add(id, session, Expires);
        }
    }

    private void OnLoops(Action<int> work)
    {
        Thread[] threads = [.. Enumerable.Range(0, Loops).Select(loop => new Thread(() => work(loop)))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
    }
}
