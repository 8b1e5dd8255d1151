using System.Numerics;

namespace Postern.Net.Tls;

/// <summary>
/// The TLS sessions of <c>ssl_session_cache shared:NAME:SIZE</c>, serialised. Used by all loops at once: the cache is divided into
/// shards by the session's id, each with a lock of its own, held while one session is copied. All memory is taken at the
/// start; nothing is allocated, moved or grown later. In a shard the oldest insertion leaves first; lookups do not refresh it.
/// </summary>
internal sealed class SharedSessionCache
{
    /// <summary>Taken by an ordinary session, so that 1 MB holds 4096 as the documentation promises; larger ones take several.</summary>
    public const int UnitBytes = SharedSessionShard.UnitBytes;

    /// <summary>Larger sessions (long certificates of clients) are not stored.</summary>
    public const int MaxSessionBytes = 8192;

    /// <summary>Session ids are not longer (RFC 5246 section 7.4.1.2).</summary>
    public const int MaxIdBytes = 32;

    /// <summary>A loop that is stopped by the kernel inside a shard's lock holds up the others on every sixteenth session only.</summary>
    private const int MostShards = 16;

    /// <summary>A smaller shard would let sessions go noticeably out of the order of their age, and could hold few large ones.</summary>
    private const int FewestUnitsOfAShard = 256;

    /// <summary>The caches in use. Weak: a cache lives as long as a context that uses it, which is how it survives a reload.</summary>
    private static readonly Dictionary<SharedCacheZone, WeakReference<SharedSessionCache>> _caches = [];
    private static readonly Lock _cachesLock = new();

    private readonly SharedSessionShard[] _shards;
    private readonly int _shift;
    private readonly TimeProvider _time;

    /// <param name="zone">Name and size.</param>
    /// <param name="time">Wall clock: sessions carry their time of birth.</param>
    /// <exception cref="TlsSettingsException">There is not as much memory.</exception>
    public SharedSessionCache(SharedCacheZone zone, TimeProvider time)
    {
        _time = time;
        TicketKeys = new RotatingTicketKeys(time);
        long units = zone.Bytes / UnitBytes;
        int bits = BitOperations.Log2((uint)Math.Clamp(units / FewestUnitsOfAShard, 1, MostShards));
        _shift = 32 - bits;
        _shards = new SharedSessionShard[1 << bits];
        try
        {
            for (int i = 0; i < _shards.Length; i++)
            {
                long share = (units / _shards.Length) + (i < units % _shards.Length ? 1 : 0);
                _shards[i] = new SharedSessionShard((int)Math.Min(share, Array.MaxLength / UnitBytes));
            }
        }
        catch (OutOfMemoryException e)
        {
            throw new TlsSettingsException($"mmap({zone.Bytes}) failed for shared memory zone \"{zone.Name}\" (12: Cannot allocate memory)", e);
        }
    }

    /// <summary>Ticket keys for servers that use this cache and name no keys of their own.</summary>
    public RotatingTicketKeys TicketKeys { get; }

    /// <summary>Sessions that can be found, expired ones included.</summary>
    public int Count => _shards.Sum(shard => shard.Count);

    /// <summary>The process's cache of this name and size: a running one, or a new one.</summary>
    /// <exception cref="TlsSettingsException">There is not as much memory.</exception>
    public static SharedSessionCache Open(SharedCacheZone zone)
    {
        lock (_cachesLock)
        {
            if (_caches.TryGetValue(zone, out WeakReference<SharedSessionCache>? known) && known.TryGetTarget(out SharedSessionCache? cache))
            {
                return cache;
            }

            cache = new SharedSessionCache(zone, TimeProvider.System);
            _caches[zone] = new WeakReference<SharedSessionCache>(cache);
            return cache;
        }
    }

    /// <param name="id">The session's id.</param>
    /// <param name="session">Its serialised form, which is copied.</param>
    /// <param name="expires">Unix time in seconds.</param>
    public void Add(ReadOnlySpan<byte> id, ReadOnlySpan<byte> session, long expires)
    {
        if (IsId(id) && session.Length <= MaxSessionBytes)
        {
            ShardOf(id, out int hash).Add(hash, id, session, expires, Now());
        }
    }

    /// <param name="id">The session's id.</param>
    /// <param name="session">Takes the serialised session; <see cref="MaxSessionBytes"/> long.</param>
    /// <returns>The session's length in bytes; 0 if there is none or it has expired.</returns>
    public int Find(ReadOnlySpan<byte> id, Span<byte> session) => IsId(id) ? ShardOf(id, out int hash).Find(hash, id, session, Now()) : 0;

    public void Remove(ReadOnlySpan<byte> id)
    {
        if (IsId(id))
        {
            ShardOf(id, out int hash).Remove(hash, id);
        }
    }

    private static bool IsId(ReadOnlySpan<byte> id) => id.Length is > 0 and <= MaxIdBytes;

    /// <param name="id">Not empty.</param>
    /// <param name="hash">Its low bits choose the place in the shard, its high bits have chosen the shard.</param>
    private SharedSessionShard ShardOf(ReadOnlySpan<byte> id, out int hash)
    {
        hash = SharedSessionShard.HashOf(id);

        // A shift by 32 would be one by 0.
        return _shards.Length == 1 ? _shards[0] : _shards[(uint)hash >> _shift];
    }

    private long Now() => _time.GetUtcNow().ToUnixTimeSeconds();
}
