using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>
/// Keeps private keys out of core dumps: everything that reads one runs on a thread of its own, whose part of the C heap and
/// whose stack are marked MADV_DONTDUMP. OpenSSL allocates there the key, what it derives from it, and every copy it makes and frees
/// while reading a file (decisions/0006).
/// </summary>
internal static unsafe class KeyMemory
{
    /// <summary>glibc begins a thread's heap at a multiple of this, and never lets it grow beyond (malloc's HEAP_MAX_SIZE on 64-bit systems).</summary>
    private const long HeapBytes = 64L << 20;

    private static readonly BlockingCollection<Action> _work = [];
    private static readonly HashSet<long> _excludedHeaps = [];
    private static readonly Lazy<Thread> _thread = new(Start);

    /// <summary>Whether all heaps that were used are excluded; false where the allocator gives threads no heap of their own (MALLOC_ARENA_MAX=1).</summary>
    public static bool IsExcluded { get; private set; } = true;

    /// <summary>Runs it on the thread of the keys and waits for the end; what it throws is thrown here.</summary>
    public static T Run<T>(Func<T> work)
    {
        if (Thread.CurrentThread == _thread.Value)
        {
            return work();
        }

        var result = new TaskCompletionSource<T>();
        _work.Add(() =>
        {
            try
            {
                ExcludeHeap();
                result.SetResult(work());
            }
#pragma warning disable CA1031 // Handed over to the caller.
            catch (Exception e)
#pragma warning restore CA1031
            {
                result.SetException(e);
            }
        });
        return result.Task.GetAwaiter().GetResult();
    }

    /// <summary>
    /// Makes a signature nobody needs: what OpenSSL derives from a key at its first use (for RSA copies of the primes) would otherwise be
    /// made in the heap of whichever loop comes first. To be called on the thread of the keys.
    /// </summary>
    /// <param name="key">An EVP_PKEY of software, not of a token.</param>
    public static void Use(nint key)
    {
        const int TextBytes = 32;
        byte* text = stackalloc byte[TextBytes];
        new Span<byte>(text, TextBytes).Clear();
        nint context = Libcrypto.EVP_MD_CTX_new();
        nuint length = 0;
        if (Libcrypto.EVP_DigestSignInit_ex(context, null, 0, 0, 0, key, null) == 1
            && Libcrypto.EVP_DigestSign(context, null, &length, text, TextBytes) == 1)
        {
            byte[] signature = new byte[(int)length];
            fixed (byte* start = signature)
            {
                _ = Libcrypto.EVP_DigestSign(context, start, &length, text, TextBytes);
            }
        }

        // A key that cannot sign shows that when its certificate is used; here nothing depends on it.
        Libcrypto.EVP_MD_CTX_free(context);
        Libcrypto.ERR_clear_error();
    }

    private static Thread Start()
    {
        // Never ends: the heap of a thread that has ended is given to the next new one.
        var thread = new Thread(Serve) { IsBackground = true, Name = "keys" };
        thread.Start();
        return thread;
    }

    private static void Serve()
    {
        byte here = 0;
        if (FindMapping((nint)(&here), out long start, out _, out _))
        {
            // From the far end of the stack to the frame of this method; those that will be called lie between.
            long page = Environment.SystemPageSize;
            long end = ((nint)(&here) / page * page) + page;
            _ = Libc.madvise((void*)start, (nuint)(end - start), Libc.MADV_DONTDUMP);
        }

        foreach (Action work in _work.GetConsumingEnumerable())
        {
            work();
        }
    }

    /// <summary>Marks the heap this thread allocates from, with all it may grow into.</summary>
    private static void ExcludeHeap()
    {
        void* probe = NativeMemory.Alloc(1024);
        long heap = (nint)probe / HeapBytes * HeapBytes;
        NativeMemory.Free(probe);
        if (_excludedHeaps.Contains(heap))
        {
            return;
        }

        if (FindMapping((nint)probe, out long start, out long end, out bool anonymous) && anonymous)
        {
            // Behind the part in use lies its reserve, without any access rights, and a mapping for itself.
            if (FindMapping((nint)end, out _, out long reserveEnd, out bool reserve) && reserve)
            {
                end = reserveEnd;
            }

            start = Math.Max(start, heap);
            end = Math.Min(end, heap + HeapBytes);
            if (Libc.madvise((void*)start, (nuint)(end - start), Libc.MADV_DONTDUMP) == 0)
            {
                _excludedHeaps.Add(heap);
                return;
            }
        }

        IsExcluded = false;
    }

    /// <summary>Looks an address up in proc_pid_maps(5).</summary>
    /// <param name="address">Any address of the process.</param>
    /// <param name="start">Where its mapping starts.</param>
    /// <param name="end">Where it ends.</param>
    /// <param name="anonymous">Whether the mapping has no name: neither a file nor <c>[heap]</c>, which is everybody's.</param>
    private static bool FindMapping(nint address, out long start, out long end, out bool anonymous)
    {
        foreach (MemoryMapping mapping in MemoryMapping.OfThisProcess())
        {
            (start, end, anonymous) = (mapping.Start, mapping.End, mapping.Name.Length == 0);
            if (address >= start && address < end)
            {
                return true;
            }
        }

        (start, end, anonymous) = (0, 0, false);
        return false;
    }
}
