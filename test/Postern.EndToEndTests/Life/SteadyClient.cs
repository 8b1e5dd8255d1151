using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Postern.TestKit;

namespace Postern.EndToEndTests.Life;

/// <summary>A client that is logged in and never stops talking: what it sends must come back, byte for byte.</summary>
internal sealed class SteadyClient : IAsyncDisposable
{
    private const int MaxBlock = 8 * 1024;

    private readonly Socket _socket;
    private readonly Stream _stream;
    private readonly Random _random;
    private readonly CancellationTokenSource _stop = new();
    private Task _talk = Task.CompletedTask;

    private SteadyClient(Socket socket, Stream stream, int seed)
    {
        _socket = socket;
        _stream = stream;
        _random = new Random(seed);
    }

    /// <summary>Blocks that came back as they were sent.</summary>
    public int Blocks { get; private set; }

    /// <param name="protocol">imap, pop3 or smtp.</param>
    /// <param name="port">The proxy's.</param>
    /// <param name="tls">Whether the port is one for TLS.</param>
    /// <param name="seed">What it says.</param>
    public static async Task<SteadyClient> LogInAsync(string protocol, int port, bool tls, int seed)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        SteadyClient? client = null;
        try
        {
            await Deadline.WithinAsync(
                async stop =>
                {
                    await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), stop);
                    Stream stream = new NetworkStream(socket, ownsSocket: true);
                    if (tls)
                    {
                        var secured = new SslStream(stream);
                        await secured.AuthenticateAsClientAsync(
                            new SslClientAuthenticationOptions { TargetHost = "test", RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null }, stop);
                        stream = secured;
                    }

                    client = new SteadyClient(socket, stream, seed);
                    await client.LogInAsync(protocol, stop);
                    return true;
                },
                $"{protocol} login on port {port}",
                TimeSpan.FromSeconds(30));
            return client!;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Begins to talk; any fault shows at <see cref="StopAsync"/>.</summary>
    public void Talk() => _talk = TalkAsync();

    /// <summary>Whether it is still talking, or has met a fault.</summary>
    public bool IsTalking => !_talk.IsCompleted;

    /// <summary>One block there and back.</summary>
    public async Task ExchangeAsync(CancellationToken stop)
    {
        byte[] sent = new byte[_random.Next(1, MaxBlock)];
        _random.NextBytes(sent);
        byte[] received = new byte[sent.Length];
        await _stream.WriteAsync(sent, stop);
        await _stream.ReadExactlyAsync(received, stop);
        if (!sent.AsSpan().SequenceEqual(received))
        {
            throw new InvalidDataException("other bytes came back than were sent");
        }

        Blocks++;
    }

    /// <summary>Sends so many bytes and compares what comes back meanwhile; the reader stops now and then, so that buffers fill.</summary>
    public async Task StreamAsync(int bytes, int seed, CancellationToken stop)
    {
        Task sending = SendStreamAsync(bytes, new Random(seed), stop);
        var expected = new Random(seed);
        byte[] got = new byte[MaxBlock];
        byte[] wanted = new byte[MaxBlock];
        for (int left = bytes; left > 0;)
        {
            int count = Math.Min(left, MaxBlock);
            await _stream.ReadExactlyAsync(got.AsMemory(0, count), stop);
            expected.NextBytes(wanted);
            if (!got.AsSpan(0, count).SequenceEqual(wanted.AsSpan(0, count)))
            {
                throw new InvalidDataException("other bytes came back than were sent");
            }

            left -= count;
            if (_random.Next(256) == 0)
            {
                await Task.Delay(50, stop);
            }
        }

        await sending;
    }

    /// <summary>Says the pieces, with an urgent byte (MSG_OOB) between two.</summary>
    public async Task SayWithUrgentByteAsync(IReadOnlyList<byte[]> pieces, CancellationToken stop)
    {
        for (int i = 0; i < pieces.Count; i++)
        {
            if (i > 0)
            {
                _ = _socket.Send("!"u8, SocketFlags.OutOfBand);
            }

            await _stream.WriteAsync(pieces[i], stop);
        }
    }

    /// <summary>So many bytes of what comes back.</summary>
    public async Task<byte[]> HearAsync(int count, CancellationToken stop)
    {
        byte[] heard = new byte[count];
        await _stream.ReadExactlyAsync(heard, stop);
        return heard;
    }

    /// <summary>Says that it has no more to say.</summary>
    /// <returns>All that comes back.</returns>
    public async Task<byte[]> HearToTheEndAsync(CancellationToken stop)
    {
        _socket.Shutdown(SocketShutdown.Send);
        using var heard = new MemoryStream();
        await _stream.CopyToAsync(heard, stop);
        return heard.ToArray();
    }

    /// <summary>Ends the talk after the block under way; throws what went wrong.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _talk;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _stream.DisposeAsync();
        _socket.Dispose();
        await _talk.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task TalkAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            await Deadline.WithinAsync(
                async stop =>
                {
                    await ExchangeAsync(stop);
                    return true;
                },
                "a block to come back",
                TimeSpan.FromSeconds(30));
            await Task.Delay(5);
        }
    }

    private async Task SendStreamAsync(int bytes, Random content, CancellationToken stop)
    {
        byte[] block = new byte[MaxBlock];
        for (int left = bytes; left > 0; left -= MaxBlock)
        {
            content.NextBytes(block);
            await _stream.WriteAsync(block.AsMemory(0, Math.Min(left, MaxBlock)), stop);
        }
    }

    private async Task LogInAsync(string protocol, CancellationToken stop)
    {
        string[] dialogue = protocol switch
        {
            "imap" => ["* OK", "a LOGIN user secret", "a OK"],
            "pop3" => ["+OK", "USER user", "+OK", "PASS secret", "+OK"],
            _ => ["220", "EHLO client", "250 ", "AUTH PLAIN AHVzZXIAc2VjcmV0", "235"],
        };
        for (int i = 0; i < dialogue.Length; i++)
        {
            if (i % 2 == 1)
            {
                await _stream.WriteAsync(Encoding.ASCII.GetBytes(dialogue[i] + "\r\n"), stop);
                continue;
            }

            string line;
            do
            {
                line = await ReadLineAsync(stop);
            }
            while (line.StartsWith("250-", StringComparison.Ordinal));

            if (!line.StartsWith(dialogue[i], StringComparison.Ordinal))
            {
                throw new InvalidDataException($"{protocol}: \"{line}\" instead of \"{dialogue[i]}\"");
            }
        }
    }

    private async Task<string> ReadLineAsync(CancellationToken stop)
    {
        var line = new StringBuilder();
        byte[] one = new byte[1];
        while (true)
        {
            await _stream.ReadExactlyAsync(one, stop);
            if (one[0] == '\n')
            {
                return line.ToString().TrimEnd('\r');
            }

            line.Append((char)one[0]);
        }
    }
}
