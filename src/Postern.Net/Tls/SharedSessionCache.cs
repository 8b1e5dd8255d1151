using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Postern.Net.Tls;

/// <summary>
/// The TLS sessions of <c>ssl_session_cache shared:NAME:SIZE</c>, serialised. Used by all loops at once: a lookup takes no lock,
/// an insertion the lock of one of the table's stripes. The oldest insertion leaves first; lookups do not refresh it.
/// </summary>
/// <param name="zone">Name and size.</param>
/// <param name="time">Wall clock: sessions carry their time of birth.</param>
internal sealed class SharedSessionCache(SharedCacheZone zone, TimeProvider time)
{
    /// <summary>Accounted for an ordinary session, so that 1 MB holds 4096 as the documentation promises; larger ones take several.</summary>
    public const int UnitBytes = 256;

    /// <summary>Larger sessions (long certificates of clients) are not stored.</summary>
    public const int MaxSessionBytes = 8192;

    /// <summary>Session ids are not longer (RFC 5246 section 7.4.1.2).</summary>
    public const int MaxIdBytes = 32;

    /// <summary>The caches in use. Weak: a cache lives as long as a context that uses it, which is how it survives a reload.</summary>
    private static readonly Dictionary<SharedCacheZone, WeakReference<SharedSessionCache>> _caches = [];
    private static readonly Lock _cachesLock = new();

    private readonly ConcurrentDictionary<SessionId, Entry> _entries = new();

    /// <summary>
    /// All entries by age. One that was removed stays here, and stays accounted, until its turn comes: otherwise a client that
    /// is refused over and over would make this grow without end.
    /// </summary>
    private readonly ConcurrentQueue<Entry> _byAge = new();
    private long _usedBytes;

    public SharedCacheZone Zone { get; } = zone;

    /// <summary>Ticket keys for servers that use this cache and name no keys of their own.</summary>
    public RotatingTicketKeys TicketKeys { get; } = new(time);

    /// <summary>Sessions that can be found, expired ones included.</summary>
    public int Count => _entries.Count;

    /// <summary>The process's cache of this name and size: a running one, or a new one.</summary>
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
    /// <param name="session">Owned from now on.</param>
    /// <param name="expires">Unix time in seconds.</param>
    public void Add(ReadOnlySpan<byte> id, byte[] session, long expires)
    {
        if (id.Length is 0 or > MaxIdBytes || session.Length > MaxSessionBytes)
        {
            return;
        }

        DropExpired();
        int charge = (session.Length + UnitBytes - 1) / UnitBytes * UnitBytes;
        var entry = new Entry(new SessionId(id), session, expires, charge);
        Interlocked.Add(ref _usedBytes, charge);
        while (Interlocked.Read(ref _usedBytes) > Zone.Bytes && DropOldest())
        {
        }

        _entries[entry.Id] = entry;
        _byAge.Enqueue(entry);
    }

    /// <returns>The serialised session, not to be changed; null if there is none or it has expired.</returns>
    public byte[]? Find(ReadOnlySpan<byte> id)
    {
        if (id.Length is 0 or > MaxIdBytes || !_entries.TryGetValue(new SessionId(id), out Entry? entry))
        {
            return null;
        }

        if (entry.Expires > Now())
        {
            return entry.Session;
        }

        _entries.TryRemove(KeyValuePair.Create(entry.Id, entry));
        return null;
    }

    public void Remove(ReadOnlySpan<byte> id)
    {
        if (id.Length is > 0 and <= MaxIdBytes)
        {
            _entries.TryRemove(new SessionId(id), out _);
        }
    }

    private long Now() => time.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>At most two at a time: the work for those who came is spread over those who come.</summary>
    private void DropExpired()
    {
        long now = Now();
        for (int i = 0; i < 2 && _byAge.TryPeek(out Entry? oldest) && oldest.Expires <= now; i++)
        {
            DropOldest();
        }
    }

    private bool DropOldest()
    {
        if (!_byAge.TryDequeue(out Entry? oldest))
        {
            return false;
        }

        // Only this very entry: another session may have come under the same id.
        _entries.TryRemove(KeyValuePair.Create(oldest.Id, oldest));
        Interlocked.Add(ref _usedBytes, -oldest.Charge);
        return true;
    }

    private sealed record Entry(SessionId Id, byte[] Session, long Expires, int Charge)
    {
        public bool Equals(Entry? other) => ReferenceEquals(this, other);

        public override int GetHashCode() => Id.GetHashCode();
    }

    /// <summary>Up to 32 bytes as a value, so that lookups allocate nothing.</summary>
    private readonly record struct SessionId
    {
        private readonly ulong _a;
        private readonly ulong _b;
        private readonly ulong _c;
        private readonly ulong _d;
        private readonly int _length;

        public SessionId(ReadOnlySpan<byte> id)
        {
            Span<byte> padded = stackalloc byte[MaxIdBytes];
            padded.Clear();
            id.CopyTo(padded);
            ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(padded);
            (_a, _b, _c, _d, _length) = (words[0], words[1], words[2], words[3], id.Length);
        }
    }
}
