using System.Security.Cryptography;
using Postern.Net;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tls;
using Postern.TestKit;

namespace Postern.Fuzz.Targets;

/// <summary>
/// What a TLS session is resumed from: session tickets, entries of the shared cache, and the ClientHello that brings them. The first byte
/// says which of them the input is; a session is a real one with the input written over it, so that its outer form often holds.
/// </summary>
internal sealed class TicketTarget : IFuzzTarget, IDisposable
{
    private const int RecordHeader = 5;
    private const int ServerHelloSessionId = RecordHeader + 4 + 2 + 32;

    private readonly ScriptedLoop _loop = new();
    private readonly TlsContext _cached;
    private readonly TlsContext _ticketed;
    private readonly TlsContext _client = TlsContextFactory.CreateClient();
    private readonly SharedSessionCache _cache;
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(TicketKey.LongBytes);
    private readonly byte[] _cachedSession;
    private readonly byte[] _ticketSession;

    public TicketTarget()
    {
        using var folder = new TemporaryFolder();
        TestCertificate certificate = TestCertificate.WriteEcdsa(folder);
        File.WriteAllBytes(folder.File("ticket.key"), _key);
        var zone = new SharedCacheZone("fuzz", 1 << 20);
        var settings = new TlsServerSettings
        {
            Certificates = [certificate.CertificateFile],
            CertificateKeys = [certificate.KeyFile],
            Protocols = TlsProtocols.TLSv12,
            SessionCache = SessionCacheMode.NotBuiltin,
            SharedCache = zone,
        };
        _cached = TlsContextFactory.CreateServer(settings with { SessionTickets = false }, "imap");
        _ticketed = TlsContextFactory.CreateServer(settings with { TicketKeys = [folder.File("ticket.key")] }, "imap");
        _cache = SharedSessionCache.Open(zone);
        byte[] flight = Handshake(_cached);
        byte[] session = new byte[SharedSessionCache.MaxSessionBytes];
        _cachedSession = session[.._cache.Find(flight.AsSpan(ServerHelloSessionId + 1, flight[ServerHelloSessionId]), session)];
        _ticketSession = Decrypt(TicketOf(Handshake(_ticketed)));

        // The harness is of use only if an untouched session is taken.
        byte[] id = new byte[32];
        _cache.Add(id, _cachedSession, long.MaxValue);
        if (!IsResumption(Answer(_cached, Hello(id, []))) || !IsResumption(Answer(_ticketed, Hello(id, Encrypt(_ticketSession)))))
        {
            throw new InvalidOperationException("an untouched session is not resumed");
        }
    }

    public string Name => "ticket";

    public IReadOnlyList<string> Dictionary { get; } =
        ["\0", "\x01", "\x02", "\x03", "\x04", "\x30\x82", "\x02\x01\x01", "\x04\x20", "\xA1\x06\x02\x04", "\xFF\xFF\xFF\xFF", "\x30\x80", "\xAA\x81", "\x16\x03\x01", "\x00\x23", "\x00\x29"];

    public void Dispose() => _loop.Dispose();

    public void Run(ReadOnlySpan<byte> input)
    {
        if (input.Length < 3)
        {
            return;
        }

        byte[] id = SHA256.HashData(input);
        ReadOnlySpan<byte> rest = input[3..];
        int at = (input[1] << 8) + input[2];
        byte[] answer;
        switch (input[0] % 5)
        {
            case 0:
                answer = Answer(_ticketed, input[1..].ToArray());
                Oracle.Holds(!IsResumption(answer), "a session was resumed that nobody has");
                break;
            case 1:
                _cache.Add(id, Overwrite(_cachedSession, rest, at), long.MaxValue);
                answer = Answer(_cached, Hello(id, []));
                _cache.Remove(id);
                break;
            case 2:
                answer = Answer(_ticketed, Hello(id, Encrypt(Overwrite(_ticketSession, rest, at))));
                break;
            case 3:
                byte[] ticket = Encrypt(_ticketSession);
                byte[] changed = Overwrite(ticket, rest, at);
                answer = Answer(_ticketed, Hello(id, changed));
                Oracle.Holds(changed.AsSpan().SequenceEqual(ticket) || !IsResumption(answer), "a ticket was taken that is not ours");
                break;
            default:
                answer = Answer(_ticketed, Hello(id, [.. _key.AsSpan(0, TicketKey.NameBytes), .. rest]));
                Oracle.Holds(!IsResumption(answer), "a ticket was taken that is not ours");
                break;
        }

        // A handshake record or an alert, of the version the hello asked for, or nothing at all.
        Oracle.Holds(answer.Length == 0 || answer[0] is 0x15 or 0x16, "no TLS record");
    }

    /// <summary>A bit of the offset says whether the rest of the original stays.</summary>
    private static byte[] Overwrite(byte[] original, ReadOnlySpan<byte> input, int at)
    {
        const int CutOff = 0x8000;
        int start = (at & ~CutOff) % (original.Length + 1);
        byte[] tail = (at & CutOff) != 0 || start + input.Length > original.Length ? [] : original[(start + input.Length)..];
        return [.. original.AsSpan(0, start), .. input, .. tail];
    }

    /// <summary>The server answers with ServerHello and ChangeCipherSpec, without a certificate.</summary>
    private static bool IsResumption(ReadOnlySpan<byte> answer)
    {
        int at = 0;
        while (at + RecordHeader <= answer.Length)
        {
            if (answer[at] == 0x14)
            {
                return true;
            }

            if (answer[at] != 0x16 || answer[at + RecordHeader] is not (2 or 4))
            {
                return false;
            }

            at += RecordHeader + (answer[at + 3] << 8) + answer[at + 4];
        }

        return false;
    }

    /// <summary>A TLS 1.2 ClientHello (RFC 5246 section 7.4.1.2) with a session id and a ticket (RFC 5077).</summary>
    private static byte[] Hello(ReadOnlySpan<byte> id, ReadOnlySpan<byte> ticket)
    {
        byte[] extensions =
        [
            0, 0x0A, 0, 6, 0, 4, 0, 0x17, 0, 0x1D, // groups
            0, 0x0B, 0, 2, 1, 0, // point format
            0, 0x0D, 0, 6, 0, 4, 4, 3, 8, 4, // signature algorithms
            0, 0x17, 0, 0, // extended master secret
            .. ticket.IsEmpty ? (byte[])[] : [0, 0x23, (byte)(ticket.Length >> 8), (byte)ticket.Length, .. ticket],
        ];
        byte[] body =
        [
            3, 3, .. new byte[32], (byte)id.Length, .. id, 0, 8, 0xC0, 0x2B, 0xC0, 0x2C, 0xCC, 0xA9, 0, 0xFF, 1, 0,
            (byte)(extensions.Length >> 8), (byte)extensions.Length, .. extensions,
        ];
        return [0x16, 3, 1, (byte)((body.Length + 4) >> 8), (byte)(body.Length + 4), 1, 0, (byte)(body.Length >> 8), (byte)body.Length, .. body];
    }

    /// <summary>The ticket of a NewSessionTicket message, which TLS 1.2 sends in clear.</summary>
    private static byte[] TicketOf(byte[] flight)
    {
        const int LifetimeBytes = 4;
        for (int at = 0; at + RecordHeader < flight.Length; at += RecordHeader + (flight[at + 3] << 8) + flight[at + 4])
        {
            if (flight[at] == 0x16 && flight[at + RecordHeader] == 4)
            {
                int start = at + RecordHeader + 4 + LifetimeBytes;
                return flight.AsSpan(start + 2, (flight[start] << 8) + flight[start + 1]).ToArray();
            }
        }

        throw new InvalidOperationException("no ticket was sent");
    }

    private byte[] Decrypt(byte[] ticket)
    {
        using var aes = Aes.Create();
        aes.Key = _key[48..];
        return aes.DecryptCbc(ticket.AsSpan(32, ticket.Length - 64), ticket.AsSpan(16, 16));
    }

    private byte[] Encrypt(byte[] session)
    {
        using var aes = Aes.Create();
        aes.Key = _key[48..];
        byte[] iv = new byte[16];
        byte[] head = [.. _key.AsSpan(0, TicketKey.NameBytes), .. iv, .. aes.EncryptCbc(session, iv)];
        return [.. head, .. HMACSHA256.HashData(_key.AsSpan(16, 32), head)];
    }

    /// <returns>All the server has sent in a whole handshake.</returns>
    private byte[] Handshake(TlsContext context)
    {
        (Connection far, ScriptedSocket farSocket) = _loop.Accept();
        (Connection near, ScriptedSocket nearSocket) = _loop.Accept();
        ScriptedSocket.Join(farSocket, nearSocket, autoCarry: false);
        HandshakeDialogue server = HandshakeDialogue.AsServer(near, context);
        _ = HandshakeDialogue.AsClient(far, _client);
        List<byte> flight = [];
        do
        {
            _loop.Settle();
            flight.AddRange(nearSocket.Outbox.Peek(int.MaxValue));
        }
        while (farSocket.Carry() + nearSocket.Carry() > 0);

        if (server.Outcome != HandshakeOutcome.Completed)
        {
            throw new InvalidOperationException("no handshake");
        }

        far.Close();
        near.Close();
        return [.. flight];
    }

    /// <returns>What the server says to the bytes.</returns>
    private byte[] Answer(TlsContext context, byte[] hello)
    {
        (Connection near, ScriptedSocket socket) = _loop.Accept();
        HandshakeDialogue server = HandshakeDialogue.AsServer(near, context);
        socket.Arrive(hello);
        _loop.Settle();
        byte[] answer = socket.Take();
        Oracle.Holds(server.Outcome != HandshakeOutcome.Completed, "a handshake without the client's half");
        near.Close();
        _loop.Settle();
        Oracle.Holds(_loop.Kernel.OpenSockets == 0 && _loop.Loop.Connections == 0 && _loop.Loop.Timers.Count == 0, "something is left behind");
        return answer;
    }
}
