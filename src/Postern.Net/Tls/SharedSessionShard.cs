using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Postern.Net.Tls;

/// <summary>
/// A part of a <see cref="SharedSessionCache"/>: a ring of units of 256 bytes. A session takes as many neighbouring units as it and its
/// head need, behind those that came before it; room is made at the other end of the ring. A table of buckets finds a session by
/// its id; sessions of one bucket are chained. One lock guards all of it.
/// </summary>
internal sealed class SharedSessionShard
{
    public const int UnitBytes = 256;

    private readonly Lock _lock = new();

    /// <summary>Pinned, so that the collector never copies it. Pages that no session has come to yet are not in memory.</summary>
    private readonly byte[] _ring;
    private readonly int _units;

    /// <summary>Number of a bucket's first unit, counted from 1; 0 = none. As many as a power of two.</summary>
    private readonly int[] _buckets;

    /// <summary>The oldest entry's first unit.</summary>
    private int _oldest;

    /// <summary>Where the next entry goes.</summary>
    private int _next;

    /// <summary>Units in use, those of removed entries included.</summary>
    private int _used;
    private int _count;

    /// <param name="units">Size of the ring, at least twice what the largest session needs.</param>
    public SharedSessionShard(int units)
    {
        _units = units;
        _ring = GC.AllocateUninitializedArray<byte>(units * UnitBytes, pinned: true);
        _buckets = GC.AllocateArray<int>((int)BitOperations.RoundUpToPowerOf2((uint)units), pinned: true);
    }

    /// <summary>Entries that can be found.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _count;
            }
        }
    }

    /// <summary>Not to be foreseen by clients, who might choose ids that all meet in one bucket.</summary>
    public static int HashOf(ReadOnlySpan<byte> id)
    {
        var hash = default(HashCode);
        hash.AddBytes(id);
        return hash.ToHashCode();
    }

    public void Add(int hash, ReadOnlySpan<byte> id, ReadOnlySpan<byte> session, long expires, long now)
    {
        int units = (Unsafe.SizeOf<Head>() + session.Length + UnitBytes - 1) / UnitBytes;
        lock (_lock)
        {
            // At most two at a time: the work for those who came is spread over those who come.
            for (int i = 0; i < 2 && _used > 0 && HeadOf(_oldest).Expires <= now; i++)
            {
                DropOldest();
            }

            Unlink(hash, id);
            int unit = Reserve(units);
            ref Head head = ref HeadOf(unit);
            head.Expires = expires;
            head.Units = units;
            head.SessionBytes = session.Length;
            head.IdBytes = (byte)id.Length;
            head.IsLinked = 1;
            id.CopyTo(head.Id);
            session.CopyTo(SessionOf(unit));
            ref int bucket = ref BucketOf(hash);
            head.Next = bucket;
            bucket = unit + 1;
            _count++;
        }
    }

    /// <returns>Bytes written to <paramref name="session"/>, 0 = none.</returns>
    public int Find(int hash, ReadOnlySpan<byte> id, Span<byte> session, long now)
    {
        lock (_lock)
        {
            int unit = BucketOf(hash) - 1;
            while (unit >= 0 && !IdOf(unit).SequenceEqual(id))
            {
                unit = HeadOf(unit).Next - 1;
            }

            if (unit < 0)
            {
                return 0;
            }

            if (HeadOf(unit).Expires <= now)
            {
                Unlink(hash, id);
                return 0;
            }

            Span<byte> found = SessionOf(unit);
            found.CopyTo(session);
            return found.Length;
        }
    }

    public void Remove(int hash, ReadOnlySpan<byte> id)
    {
        lock (_lock)
        {
            Unlink(hash, id);
        }
    }

    /// <summary>Makes room for an entry at the young end of the ring. An entry does not go round the corner.</summary>
    private int Reserve(int units)
    {
        while (true)
        {
            int rest = _units - _next;
            int skipped = rest < units ? rest : 0;
            if (_units - _used < skipped + units)
            {
                DropOldest();
                continue;
            }

            if (skipped > 0)
            {
                // Without an id and long expired: goes when its turn comes.
                HeadOf(_next) = new Head { Units = skipped };
                _next = 0;
            }

            int unit = _next;
            _used += skipped + units;
            _next = (unit + units) % _units;
            return unit;
        }
    }

    private void DropOldest()
    {
        ref Head head = ref HeadOf(_oldest);
        if (head.IsLinked != 0)
        {
            Span<byte> id = IdOf(_oldest);
            Unlink(HashOf(id), id);
        }

        _used -= head.Units;
        _oldest = (_oldest + head.Units) % _units;
    }

    /// <summary>
    /// Nobody finds it any more. Its units stay where they are until their turn comes: a client that is refused over and over pushes
    /// out the oldest sessions like any other, and the ring needs no list of holes.
    /// </summary>
    private void Unlink(int hash, ReadOnlySpan<byte> id)
    {
        ref int link = ref BucketOf(hash);
        while (link != 0)
        {
            int unit = link - 1;
            ref Head head = ref HeadOf(unit);
            if (IdOf(unit).SequenceEqual(id))
            {
                link = head.Next;
                head.IsLinked = 0;
                _count--;

                // What is needed to resume, and to read what was said, does not outlive the session.
                SessionOf(unit).Clear();
                return;
            }

            link = ref head.Next;
        }
    }

    private ref int BucketOf(int hash) => ref _buckets[hash & (_buckets.Length - 1)];

    private ref Head HeadOf(int unit) => ref MemoryMarshal.AsRef<Head>(_ring.AsSpan(unit * UnitBytes, Unsafe.SizeOf<Head>()));

    private Span<byte> IdOf(int unit)
    {
        ref Head head = ref HeadOf(unit);
        return MemoryMarshal.CreateSpan(ref Unsafe.As<IdBuffer, byte>(ref head.Id), head.IdBytes);
    }

    private Span<byte> SessionOf(int unit) => _ring.AsSpan((unit * UnitBytes) + Unsafe.SizeOf<Head>(), HeadOf(unit).SessionBytes);

    /// <summary>What an entry begins with.</summary>
    private struct Head
    {
        /// <summary>Unix time in seconds.</summary>
        public long Expires;

        /// <summary>The next entry of the bucket, counted from 1; 0 = none.</summary>
        public int Next;
        public int Units;
        public int SessionBytes;
        public byte IdBytes;

        /// <summary>0: removed, or never an entry.</summary>
        public byte IsLinked;
        public IdBuffer Id;
    }

    [InlineArray(SharedSessionCache.MaxIdBytes)]
    private struct IdBuffer
    {
        private byte _first;
    }
}
