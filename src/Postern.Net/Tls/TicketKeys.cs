using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Postern.Config;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>One key for session tickets, in pinned memory.</summary>
internal sealed class TicketKey
{
    public const int NameBytes = 16;
    public const int ShortBytes = 48;
    public const int LongBytes = 80;

    private static readonly nint _aes128 = Fetch("AES-128-CBC");
    private static readonly nint _aes256 = Fetch("AES-256-CBC");

    private readonly byte[] _bytes;

    /// <param name="bytes">The content of a key file, 48 or 80 bytes, pinned; owned from now on.</param>
    public TicketKey(byte[] bytes)
    {
        _bytes = bytes;
        bool isLong = bytes.Length == LongBytes;

        // In the long form the HMAC key comes first, in the short form the AES key does.
        Hmac = isLong ? 16..48 : 32..48;
        Aes = isLong ? 48..80 : 16..32;
        Cipher = isLong ? _aes256 : _aes128;
    }

    /// <summary>The EVP_CIPHER.</summary>
    public nint Cipher { get; }

    public ReadOnlySpan<byte> Name => _bytes.AsSpan(0, NameBytes);

    public ReadOnlySpan<byte> HmacKey => _bytes.AsSpan(Hmac);

    public ReadOnlySpan<byte> AesKey => _bytes.AsSpan(Aes);

    private Range Hmac { get; }

    private Range Aes { get; }

    /// <exception cref="TlsSettingsException">OpenSSL's random generator fails.</exception>
    public static unsafe TicketKey Random()
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(LongBytes, pinned: true);
        OpenSsl.Initialize();
        fixed (byte* start = bytes)
        {
            // Not the runtime's generator: it looks for an OpenSSL of its own, and ends the process where there is only OpenSSL 4.
            if (Libcrypto.RAND_bytes(start, bytes.Length) != 1)
            {
                throw TlsContextFactory.Failure("RAND_bytes() failed");
            }
        }

        return new TicketKey(bytes);
    }

    /// <summary>Reads an <c>ssl_session_ticket_key</c> file.</summary>
    /// <exception cref="TlsSettingsException">It cannot be read, or has another size.</exception>
    public static unsafe TicketKey Load(string path)
    {
        if (ConfigFiles.Current.TryReadSecret(path) is { } content)
        {
            return content.Length is ShortBytes or LongBytes
                ? new TicketKey(content)
                : throw TlsSettingsException.AtEndOfBlock($"\"{path}\" must be 48 or 80 bytes");
        }

        int descriptor = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (descriptor < 0)
        {
            throw TlsSettingsException.AtEndOfBlock(SystemCallException.FromErrno($"open() \"{path}\"", LastErrno()).Message);
        }

        using var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        byte[] bytes = GC.AllocateArray<byte>(LongBytes + 1, pinned: true);
        nint length = 0;
        nint n;
        fixed (byte* start = bytes)
        {
            // A directory cannot be read; nginx looks at the sizes only, and says the same of it.
            while (length < bytes.Length && (n = Libc.read(descriptor, start + length, (nuint)(bytes.Length - length))) > 0)
            {
                length += n;
            }
        }

        if (length is not (ShortBytes or LongBytes))
        {
            throw TlsSettingsException.AtEndOfBlock($"\"{path}\" must be 48 or 80 bytes");
        }

        byte[] key = GC.AllocateArray<byte>((int)length, pinned: true);
        bytes.AsSpan(0, (int)length).CopyTo(key);
        CryptographicOperations.ZeroMemory(bytes);
        return new TicketKey(key);
    }

    /// <summary>Never the key.</summary>
    public override string ToString() => nameof(TicketKey);

    private static int LastErrno() => System.Runtime.InteropServices.Marshal.GetLastPInvokeError();

    private static nint Fetch(string name)
    {
        OpenSsl.Initialize();
        nint cipher = Libcrypto.EVP_CIPHER_fetch(0, name, 0);
        return cipher != 0 ? cipher : throw TlsContextFactory.Failure($"EVP_CIPHER_fetch(\"{name}\") failed");
    }
}

/// <summary>The keys that encrypt and decrypt a server's session tickets.</summary>
internal abstract class TicketKeys
{
    /// <param name="lifetimeSeconds">How long the ticket will be good for.</param>
    public abstract TicketKey ForNewTicket(long lifetimeSeconds);

    /// <param name="name">The key name a ticket begins with.</param>
    /// <param name="isNewest">Whether new tickets are made with this key.</param>
    /// <returns>Null if no such key is known (any more).</returns>
    public abstract TicketKey? Find(ReadOnlySpan<byte> name, out bool isNewest);
}

/// <summary>The files of <c>ssl_session_ticket_key</c>: the first encrypts, all decrypt.</summary>
internal sealed class ConfiguredTicketKeys(IReadOnlyList<TicketKey> keys) : TicketKeys
{
    public override TicketKey ForNewTicket(long lifetimeSeconds) => keys[0];

    public override TicketKey? Find(ReadOnlySpan<byte> name, out bool isNewest)
    {
        for (int i = 0; i < keys.Count; i++)
        {
            if (keys[i].Name.SequenceEqual(name))
            {
                isNewest = i == 0;
                return keys[i];
            }
        }

        isNewest = false;
        return null;
    }
}

/// <summary>
/// Random keys that replace each other by themselves: a key encrypts for about one session timeout and decrypts for about two.
/// </summary>
/// <param name="time">Its wall clock is not asked: set back by years, it would make a key serve for years.</param>
internal sealed class RotatingTicketKeys(TimeProvider time) : TicketKeys
{
    private readonly Lock _rotating = new();
    private volatile Ring? _ring;

    public override TicketKey ForNewTicket(long lifetimeSeconds)
    {
        long now = time.GetTimestamp() / time.TimestampFrequency;
        Ring? ring = _ring;
        if (ring is null || ring.PreviousExpires <= now)
        {
            ring = Rotate(now, lifetimeSeconds);
        }

        ring.Extend(now + lifetimeSeconds);
        return ring.Current;
    }

    public override TicketKey? Find(ReadOnlySpan<byte> name, out bool isNewest)
    {
        isNewest = false;
        if (_ring is not { } ring)
        {
            return null;
        }

        if (ring.Current.Name.SequenceEqual(name))
        {
            isNewest = true;
            return ring.Current;
        }

        // The next one too: a loop that reads the ring a moment before it turns meets tickets of one that read it after.
        return ring.Previous.Name.SequenceEqual(name) ? ring.Previous : ring.Next.Name.SequenceEqual(name) ? ring.Next : null;
    }

    private Ring Rotate(long now, long lifetimeSeconds)
    {
        lock (_rotating)
        {
            Ring? ring = _ring;
            if (ring is null)
            {
                // There never was a previous key; its place counts as taken for one timeout.
                ring = new Ring(TicketKey.Random(), now + lifetimeSeconds, TicketKey.Random(), TicketKey.Random());
            }
            else if (ring.PreviousExpires <= now)
            {
                // The key that becomes the previous one is needed until its last ticket has expired.
                ring = new Ring(ring.Current, Math.Max(ring.CurrentExpires, now + 1), ring.Next, TicketKey.Random());
            }

            _ring = ring;
            return ring;
        }
    }

    /// <summary>Three keys; replaced as a whole, so that readers see one state.</summary>
    private sealed class Ring(TicketKey previous, long previousExpires, TicketKey current, TicketKey next)
    {
        private long _currentExpires;

        public TicketKey Previous => previous;

        /// <summary>Second at which the last ticket of <see cref="Previous"/> is worthless.</summary>
        public long PreviousExpires => previousExpires;

        public TicketKey Current => current;

        public TicketKey Next => next;

        public long CurrentExpires => Interlocked.Read(ref _currentExpires);

        public void Extend(long expires)
        {
            long known = CurrentExpires;
            while (known < expires)
            {
                long seen = Interlocked.CompareExchange(ref _currentExpires, expires, known);
                if (seen == known)
                {
                    return;
                }

                known = seen;
            }
        }
    }
}
