using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;

namespace Postern.TestKit.Scripted;

/// <summary>
/// One end of a conversation under a script's control: reads lines and bytes with a deadline, writes, closes in every
/// way a socket can be closed. Text is Latin-1: one character is one byte.
/// </summary>
public sealed class ScriptedConnection : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly HoldingStream _wire;
    private readonly byte[] _chunk = new byte[64 * 1024];
    private readonly List<byte> _pending = [];
    private Stream _stream;
    private bool _ended;

    public ScriptedConnection(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        _socket = socket;
        if (socket.AddressFamily != AddressFamily.Unix)
        {
            socket.NoDelay = true;
        }

        _wire = new HoldingStream(new NetworkStream(socket, ownsSocket: false));
        _stream = _wire;
    }

    public Socket Socket => _socket;

    /// <summary>How long each read may wait.</summary>
    public TimeSpan Limit { get; init; } = Deadline.Step;

    /// <summary>Bytes received and not yet asked for.</summary>
    public int PendingBytes => _pending.Count;

    /// <summary>Connects to a port of 127.0.0.1.</summary>
    public static async Task<ScriptedConnection> ConnectAsync(int port, TimeSpan? limit = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await Deadline.WithinAsync<bool>(
                async stop =>
                {
                    await socket.ConnectAsync("127.0.0.1", port, stop);
                    return true;
                },
                $"a connection to port {port}");
            return new ScriptedConnection(socket) { Limit = limit ?? Deadline.Step };
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Reads up to and including LF. Null when the other side closed without sending any more bytes.</summary>
    /// <exception cref="EndOfStreamException">It closed in the middle of a line.</exception>
    public async Task<string?> ReadLineAsync()
    {
        while (true)
        {
            int end = _pending.IndexOf((byte)'\n');
            if (end >= 0)
            {
                return Take(end + 1);
            }

            if (!await FillAsync("a line"))
            {
                return _pending.Count == 0
                    ? null
                    : throw new EndOfStreamException($"Closed after the unfinished line \"{Text.Show(Take(_pending.Count))}\".");
            }
        }
    }

    /// <summary>Reads that many bytes; fewer only when the other side closed.</summary>
    public async Task<string> ReadAsync(int count)
    {
        while (_pending.Count < count && await FillAsync($"{count} bytes"))
        {
        }

        return Take(Math.Min(count, _pending.Count));
    }

    /// <summary>Reads what is there, or comes next; nothing at the end.</summary>
    public async Task<string> ReadSomeAsync()
    {
        if (_pending.Count == 0)
        {
            await FillAsync("anything");
        }

        return Take(_pending.Count);
    }

    /// <summary>Reads everything up to the other side's close; a reset counts as one.</summary>
    public async Task<string> ReadToEndAsync()
    {
        while (await FillAsync("the end of the connection"))
        {
        }

        return Take(_pending.Count);
    }

    public async Task WriteAsync(string bytes)
    {
        await _stream.WriteAsync(Encoding.Latin1.GetBytes(bytes));
        _wire.Release();
    }

    /// <summary>One send for each byte.</summary>
    public async Task WriteByteByByteAsync(string bytes)
    {
        foreach (byte b in Encoding.Latin1.GetBytes(bytes))
        {
            await _stream.WriteAsync(new[] { b });
        }
    }

    /// <summary>
    /// Performs the TLS handshake as a client; any certificate is accepted.
    /// </summary>
    /// <param name="protocols">The versions offered; None means the system's default.</param>
    /// <param name="holdFinished">Keep the client's last flight back, so that it leaves together with the next write (TLS 1.3 only).</param>
    /// <param name="applicationProtocols">ALPN names offered; none by default.</param>
    /// <param name="limit">How long the handshake may take.</param>
    public async Task StartTlsAsync(
        SslProtocols protocols = SslProtocols.None,
        bool holdFinished = false,
        IReadOnlyList<string>? applicationProtocols = null,
        TimeSpan? limit = null)
    {
        if (_pending.Count > 0)
        {
            throw new InvalidOperationException($"Bytes before the handshake: \"{Text.Show(Take(_pending.Count))}\"");
        }

        _wire.HoldFromWrite = holdFinished ? 2 : int.MaxValue;
        var tls = new SslStream(_wire, leaveInnerStreamOpen: true);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "mx.example.test",
            EnabledSslProtocols = protocols,
#pragma warning disable CA5359 // the tests' certificates are made up
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
        };
        if (applicationProtocols is not null)
        {
            options.ApplicationProtocols = [.. applicationProtocols.Select(name => new SslApplicationProtocol(name))];
        }

        await Deadline.WithinAsync<bool>(
            async stop =>
            {
                await tls.AuthenticateAsClientAsync(options, stop);
                return true;
            },
            "the TLS handshake",
            limit);
        _stream = tls;
    }

    /// <summary>Says that nothing more will be sent (with close_notify under TLS); reading goes on.</summary>
    public async Task HalfCloseAsync()
    {
        try
        {
            if (_stream is SslStream tls)
            {
                await tls.ShutdownAsync();
            }

            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // The other side was faster.
        }
    }

    /// <summary>Closes; what is unread is lost.</summary>
    public void Close() => _socket.Close();

    /// <summary>Closes with a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Close();
    }

    public async ValueTask DisposeAsync()
    {
        await _wire.DisposeAsync();
        _socket.Dispose();
    }

    private async Task<bool> FillAsync(string what)
    {
        if (_ended)
        {
            return false;
        }

        try
        {
            int got = await Deadline.WithinAsync(
                async stop => await _stream.ReadAsync(_chunk, stop),
                $"{what}; so far \"{Text.Show(Text.Of(_pending.ToArray()))}\"",
                Limit);
            _ended = got == 0;
            _pending.AddRange(_chunk.AsSpan(0, got));
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset } || IsTlsEnd(e))
        {
            // Closing a socket with unread bytes in it sends a reset: to the script that is a close too.
            _ended = true;
        }

        return !_ended;
    }

    // SslStream reports a missing close_notify by message only.
    private static bool IsTlsEnd(IOException e) => e.InnerException is null && e.Message.Contains("EOF", StringComparison.Ordinal);

    private string Take(int count)
    {
        string text = Text.Of(_pending.GetRange(0, count).ToArray());
        _pending.RemoveRange(0, count);
        return text;
    }
}
