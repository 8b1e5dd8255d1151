using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Postern.TestKit;
using Xunit;

namespace Postern.TlsTests;

/// <summary>A client on a plain socket, with or without TLS: what it gets, byte for byte, and how it ends.</summary>
internal sealed class DirectClient : IDisposable
{
    private readonly TcpClient _socket;
    private readonly WatchedStream _raw;
    private readonly byte[] _buffer = new byte[65536];
    private SslStream? _tls;

    private DirectClient(TcpClient socket)
    {
        _socket = socket;
        _raw = new WatchedStream(socket.GetStream());
    }

    /// <summary>The end of the TCP connection has been read. A stream under TLS that ends before has ended by close_notify.</summary>
    public bool TcpEnded => _raw.Ended;

    public string Version => _tls!.SslProtocol == SslProtocols.Tls13 ? "TLSv1.3" : "TLSv1.2";

    public static async Task<DirectClient> ConnectAsync(int port)
    {
        var socket = new TcpClient();
        await socket.ConnectAsync("127.0.0.1", port, TestContext.Current.CancellationToken);
        return new DirectClient(socket);
    }

    /// <summary>Connects and makes the handshake, after STARTTLS if a protocol is named.</summary>
    public static async Task<DirectClient> ConnectTlsAsync(
        int port, TlsFolder files, MailWire? upgrade = null, SslProtocols version = SslProtocols.Tls13, string certificate = "")
    {
        DirectClient client = await ConnectAsync(port);
        if (upgrade is not null)
        {
            Assert.Equal(upgrade.Greeting, await client.ReadLineAsync());
            await client.WriteAsync(upgrade.Upgrade);
            Assert.Equal(upgrade.GoAhead, await client.ReadLineAsync());
        }

        await client.HandshakeAsync(files, version, certificate);
        return client;
    }

    /// <param name="files">Has the server's certificate, the only one accepted, and the client's.</param>
    /// <param name="version">The only one offered.</param>
    /// <param name="certificate">Name of the client's certificate; empty = none.</param>
    public async Task HandshakeAsync(TlsFolder files, SslProtocols version = SslProtocols.Tls13, string certificate = "")
    {
        using X509Certificate2 expected = X509CertificateLoader.LoadCertificateFromFile(files.PathOf("server.pem"));
        string thumbprint = expected.Thumbprint;
        _tls = new SslStream(_raw, leaveInnerStreamOpen: true);
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "mx.example.test",
            EnabledSslProtocols = version,
            RemoteCertificateValidationCallback = (_, presented, _, _) => presented?.GetCertHashString() == thumbprint,
            ClientCertificateContext = certificate.Length == 0 ? null : Credentials(files, certificate),
        };
        await Deadline.WithinAsync(
            async stop =>
            {
                await _tls.AuthenticateAsClientAsync(options, stop);
                return true;
            },
            "the end of the handshake");
    }

    public async Task WriteAsync(string text) => await Stream.WriteAsync(Text.Bytes(text), TestContext.Current.CancellationToken);

    /// <summary>Sends bytes beneath TLS.</summary>
    public async Task WriteRawAsync(byte[] bytes) => await _raw.WriteAsync(bytes, TestContext.Current.CancellationToken);

    public async Task SendCloseNotifyAsync() => await _tls!.ShutdownAsync();

    public void SendEnd() => _socket.Client.Shutdown(SocketShutdown.Send);

    /// <summary>Closes with a reset.</summary>
    public void Reset()
    {
        _socket.Client.LingerState = new LingerOption(true, 0);
        _socket.Client.Close();
    }

    /// <returns>One line with its CRLF, or what came before the end.</returns>
    public async Task<string> ReadLineAsync()
    {
        string line = "";
        byte[] one = new byte[1];
        while (!line.EndsWith('\n') && await Deadline.WithinAsync(stop => Stream.ReadAsync(one, stop).AsTask(), "a line") > 0)
        {
            line += (char)one[0];
        }

        return line;
    }

    /// <returns>All that comes until the stream ends; under TLS at the latest with close_notify.</returns>
    public Task<string> ReadToEndAsync() => ReadToEndAsync(Stream);

    /// <returns>All that comes beneath TLS until the TCP connection ends; a reset is an end.</returns>
    public Task<string> ReadRawToEndAsync() => ReadToEndAsync(_raw);

    public void Dispose()
    {
        _tls?.Dispose();
        _socket.Dispose();
    }

    private Stream Stream => (Stream?)_tls ?? _raw;

    private async Task<string> ReadToEndAsync(Stream stream)
    {
        string all = "";
        try
        {
            int n;
            while ((n = await Deadline.WithinAsync(stop => stream.ReadAsync(_buffer, stop).AsTask(), $"the end, after \"{Text.Show(all)}\"")) > 0)
            {
                all += Text.Of(_buffer.AsSpan(0, n));
            }
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            _raw.Ended = true;
        }

        return all;
    }

    private static SslStreamCertificateContext Credentials(TlsFolder files, string name)
    {
        using X509Certificate2 pair = X509Certificate2.CreateFromPemFile(files.PathOf(name + ".pem"), files.PathOf(name + ".key"));
        X509Certificate2Collection chain = name == "deep" ? [X509CertificateLoader.LoadCertificateFromFile(files.PathOf("middle.pem"))] : [];
        return SslStreamCertificateContext.Create(new X509Certificate2(pair), chain, offline: true);
    }

    /// <summary>Tells whether the end of the TCP connection was read.</summary>
    private sealed class WatchedStream(NetworkStream inner) : Stream
    {
        public bool Ended { get; set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int n = await inner.ReadAsync(buffer, cancellationToken);
            Ended |= n == 0 && buffer.Length > 0;
            return n;
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            int n = inner.Read(buffer, offset, count);
            Ended |= n == 0 && count > 0;
            return n;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(buffer, cancellationToken);

        public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

        public override void Flush() => inner.Flush();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}

/// <summary>What a protocol says around STARTTLS and to clients it refuses (TLS reference, section 5). Lines with their CRLF.</summary>
/// <param name="Name">As <c>protocol</c> and ALPN have it.</param>
/// <param name="Greeting">The first line in clear text, or under TLS from the first byte.</param>
/// <param name="Upgrade">The command.</param>
/// <param name="GoAhead">Its answer.</param>
/// <param name="Prefix">Of a refusal.</param>
/// <param name="Quit">The command that ends a session, and its whole answer.</param>
internal sealed record MailWire(string Name, string Greeting, string Upgrade, string GoAhead, string Prefix, (string Command, string Answer) Quit)
{
    public static readonly MailWire Imap = new("imap", "* OK IMAP4 ready\r\n", "a STARTTLS\r\n", "a OK completed\r\n", "* BYE ", ("z LOGOUT\r\n", "* BYE\r\nz OK completed\r\n"));

    public static readonly MailWire Pop3 = new("pop3", "+OK POP3 ready\r\n", "STLS\r\n", "+OK\r\n", "-ERR ", ("QUIT\r\n", "+OK\r\n"));

    public static readonly MailWire Smtp = new("smtp", "220 mx.example.test ESMTP ready\r\n", "STARTTLS\r\n", "220 2.0.0 Start TLS\r\n", "421 4.7.1 ", ("QUIT\r\n", "221 2.0.0 Bye\r\n"));

    public static MailWire Of(string name) => name switch
    {
        "imap" => Imap,
        "pop3" => Pop3,
        "smtp" => Smtp,
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };
}
