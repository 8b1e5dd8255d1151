using System.Buffers;
using System.Text;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tls;
using Postern.Protocol.ProxyProtocol;

namespace Postern.Sessions;

/// <summary>
/// The life of one client that all protocols share (mail-proxy 3.1): PROXY header, TLS, then the protocol's dialogue.
/// When the dialogue has handed the client over to the relay, the session and its buffers are garbage.
/// </summary>
public abstract partial class MailSession
{
    private readonly ListenSettings _listen;
    private readonly EndpointAddress _peer;
    private readonly long _started;
    private byte[]? _input;
    private int _start;
    private int _end;
    private bool _clientGone;

    /// <param name="server">The server block.</param>
    /// <param name="client">The accepted connection, owned by the session until it hands it over.</param>
    /// <param name="peer">The client's TCP address.</param>
    /// <param name="listen">Where it was accepted.</param>
    /// <param name="connectionNumber">Serial number for the log.</param>
    private protected MailSession(
        MailServer server, Connection client, EndpointAddress peer, ListenSettings listen, long connectionNumber)
    {
        Server = server;
        Client = client;
        _peer = peer;
        _listen = listen;
        _started = client.Loop.Now;
        ClientAddress = peer;
        Deadline = new Deadline(client.Loop);
        Context = new SessionLogContext
        {
            Log = server.LogOf(peer),
            ConnectionNumber = connectionNumber,
            Client = peer.ToAddressText(),
            Server = listen.Text,
        };
    }

    private protected MailServer Server { get; }

    private protected Connection Client { get; }

    private protected EventLoop Loop => Client.Loop;

    private protected SessionLogContext Context { get; }

    private protected ErrorLog Log => Context.Log;

    /// <summary>The deadline of the current phase: the command phase has one in all, not one per command (Q-01).</summary>
    private protected Deadline Deadline { get; }

    /// <summary>The client's address, realip applied.</summary>
    private protected EndpointAddress ClientAddress { get; private set; }

    /// <summary>What the PROXY header said; null = there was none, or it carried no addresses.</summary>
    private protected ProxyAddresses? ProxyAddresses { get; private set; }

    /// <summary>Bytes received and not yet consumed.</summary>
    private protected Span<byte> Input => _input.AsSpan(_start, _end - _start);

    /// <summary>Most bytes one command may have; also the size of the input buffer.</summary>
    private protected int InputCapacity => Math.Max(1, Server.Settings.ClientBufferBytes);

    /// <summary>Starts the session; it goes on by the loop's events.</summary>
    public void Start() => _ = RunAsync();

    /// <summary>Reads more input behind what is there. Never more than the capacity is held.</summary>
    private protected async ValueTask FillAsync()
    {
        while (true)
        {
            int n = Client.TryRead(FreeInput());
            if (n == Connection.WouldBlock)
            {
                await Client.Readable();
                continue;
            }

            if (n == 0)
            {
                LogDebug("client closed the connection"u8);
                throw new SessionEndedException();
            }

            _end += n;
            return;
        }
    }

    /// <summary>Reads what is there, as far as there is room.</summary>
    /// <returns>False if the client has ended.</returns>
    private protected bool TryFill()
    {
        try
        {
            while (Input.Length < InputCapacity)
            {
                int n = Client.TryRead(FreeInput());
                if (n <= 0)
                {
                    return n == Connection.WouldBlock;
                }

                _end += n;
            }

            return true;
        }
        catch (ConnectionEndedException)
        {
            // Reset or broken TLS: as good as gone.
            return false;
        }
    }

    private protected void Consume(int count)
    {
        _start += count;
        if (_start == _end)
        {
            _start = _end = 0;
        }
    }

    /// <summary>Forgets everything received so far (STARTTLS: nothing read in clear may survive).</summary>
    private protected void DiscardInput()
    {
        _input.AsSpan(0, _end).Clear();
        _start = _end = 0;
        _commandBytes = 0;
    }

    /// <summary>Waits until the kernel has taken the replies, so that a client that does not read cannot pile them up.</summary>
    private protected async ValueTask FlushIfFullAsync()
    {
        if (Client.HasUnsent)
        {
            await Client.Drained();
        }
    }

    /// <summary>Runs the handshake; if it fails the client is closed and logged.</summary>
    private protected async ValueTask HandshakeAsync(string action)
    {
        Enter(action);
        HandshakeOutcome outcome = await Client.HandshakeAsServerAsync(Server.Tls!);
        switch (outcome)
        {
            case HandshakeOutcome.Completed:
                if (Log.IsEnabled(LogLevel.Debug))
                {
                    LogText(LogLevel.Debug, $"SSL handshake done: {Client.TlsVersion}, cipher {Client.TlsCipher}{(Client.TlsResumed ? ", resumed" : "")}");
                }

                CheckCertificate();
                return;
            case HandshakeOutcome.PeerClosed:
                LogInfo("peer closed connection in SSL handshake"u8, Client.HandshakeErrno);
                break;
            default:
                LogText(Client.TlsFailureIsPeers ? LogLevel.Info : LogLevel.Crit, Client.TlsFailure);
                break;
        }

        throw new SessionEndedException();
    }

    /// <summary>What a client hears that is refused for its certificate: one line, unasked, in place of anything else.</summary>
    private protected virtual ReadOnlySpan<byte> CertificateRefusal(ClientCertificateFault fault) =>
        (Server.Settings.Protocol, fault) switch
        {
            (MailProtocol.Imap, ClientCertificateFault.Failed) => "* BYE SSL certificate error\r\n"u8,
            (MailProtocol.Imap, _) => "* BYE No required SSL certificate\r\n"u8,
            (MailProtocol.Pop3, ClientCertificateFault.Failed) => "-ERR SSL certificate error\r\n"u8,
            (MailProtocol.Pop3, _) => "-ERR No required SSL certificate\r\n"u8,
            (_, ClientCertificateFault.Failed) => "421 4.7.1 SSL certificate error\r\n"u8,
            _ => "421 4.7.1 No required SSL certificate\r\n"u8,
        };

    /// <summary>Applies <c>ssl_verify_client</c>. The handshake has succeeded in any case, so that the client can be told.</summary>
    private void CheckCertificate()
    {
        ClientCertificateFault fault = Client.CheckCertificate(Server.Settings.Tls.VerifyClient);
        if (fault == ClientCertificateFault.None)
        {
            return;
        }

        if (fault == ClientCertificateFault.Missing)
        {
            LogInfo("client sent no required SSL certificate"u8);
        }
        else
        {
            LogText(LogLevel.Info, $"client SSL certificate verify error: ({Client.VerifyResult}:{Client.VerifyResultText})");
        }

        Client.Write(CertificateRefusal(fault));
        throw new SessionEndedException();
    }

    /// <summary>Says the protocol's internal error and closes: something behind us failed; the client may try again.</summary>
    private protected void EndWithInternalError()
    {
        Client.Write(InternalServerError);
        CloseClient();
    }

    private protected void CloseClient()
    {
        _clientGone = true;
        Client.CloseGracefully((long)Server.Settings.Timeout.TotalMilliseconds);
    }

    /// <summary>The client is the relay's from now on.</summary>
    private protected void ReleaseClient() => _clientGone = true;

    /// <summary>A phase begins: what the session is doing in the lines to come, and at level debug a line itself.</summary>
    private protected void Enter(string action)
    {
        Context.Action = action;
        if (Log.IsEnabled(LogLevel.Debug))
        {
            WriteLine(LogLevel.Debug, Encoding.ASCII.GetBytes(action), withAction: false);
        }
    }

    private protected void LogDebug(ReadOnlySpan<byte> message) => LogMessage(LogLevel.Debug, message);

    private protected void LogInfo(ReadOnlySpan<byte> message, int errno = 0) => LogMessage(LogLevel.Info, message, errno);

    private protected void LogMessage(LogLevel level, ReadOnlySpan<byte> message, int errno = 0)
    {
        if (Log.IsEnabled(level))
        {
            WriteLine(level, message, withAction: true, errno);
        }
    }

    /// <summary><c>WHAT "BYTES"</c>: the bytes came from outside and are escaped.</summary>
    private protected void LogQuoting(LogLevel level, ReadOnlySpan<byte> what, ReadOnlySpan<byte> foreign)
    {
        if (!Log.IsEnabled(level))
        {
            return;
        }

        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        Context.AppendNumber(ref line);
        line.Append(what);
        line.Append("\""u8);
        line.AppendEscaped(foreign);
        line.Append("\""u8);
        Context.AppendTail(ref line);
        Log.Write(level, line.Written);
    }

    private void WriteLine(LogLevel level, ReadOnlySpan<byte> message, bool withAction, int errno = 0)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        Context.AppendNumber(ref line);
        line.Append(message);
        if (errno != 0)
        {
            line.AppendErrno(errno);
        }

        Context.AppendTail(ref line, withAction);
        Log.Write(level, line.Written);
    }

    /// <summary>Writes the PROXY header of <c>proxy_protocol on|v2</c> for a backend.</summary>
    private void WriteProxyHeader(IBufferWriter<byte> target)
    {
        EndpointAddress local = Client.GetLocalAddress();
        bool unix = ClientAddress.Family == AddressFamilyKind.Unix;
        var facts = new ProxyHeaderFacts
        {
            ClientAddress = unix ? default : ClientAddress.AddressBytes.ToArray(),
            ClientPort = ClientAddress.Port,
            LocalAddress = local.Family == AddressFamilyKind.Unix ? default : local.AddressBytes.ToArray(),
            LocalPort = local.Port,
            Tls = CreateTlsFacts(),
        };
        if (Server.Settings.ProxyProtocol == OutgoingProxyProtocol.V1)
        {
            ProxyHeaderWriter.WriteVersion1(facts, target);
        }
        else
        {
            ProxyHeaderWriter.WriteVersion2(facts, target);
        }
    }

    private ProxyTlsFacts? CreateTlsFacts() => !Client.IsTls || Server.Settings.ProxyProtocol != OutgoingProxyProtocol.V2
        ? null
        : new ProxyTlsFacts
        {
            ServerName = Encoding.UTF8.GetBytes(Client.TlsServerName ?? ""),
            Alpn = Client.TlsAlpn,
            Version = Client.TlsVersion,
            Cipher = Client.TlsCipher,
            SignatureAlgorithm = Client.TlsCertificateSignature,
            KeyAlgorithm = Client.TlsCertificateKey,
        };

    private async Task RunAsync()
    {
        try
        {
            LogConnected();
            if (_listen.ProxyProtocol)
            {
                await ReadProxyHeaderAsync();
            }

            if (_listen.Ssl)
            {
                Deadline.Set(Client, Server.Settings.Timeout);
                await HandshakeAsync(LogActions.TlsHandshaking);
            }

            _input ??= Loop.Secrets.Rent(InputCapacity);
            await ConverseAsync();
        }
        catch (SessionEndedException)
        {
            // Gracefully: replies to commands that came together with the end of the stream, or the alert of a handshake
            // that failed, have not left yet.
            CloseClient();
        }
        catch (ConnectionEndedException ended)
        {
            OnConnectionEnded(ended);
        }
#pragma warning disable CA1031 // A fault of one session stays in it: whatever it was, this client gets a temporary error and the others go on.
        catch (Exception fault)
#pragma warning restore CA1031
        {
            OnFault(fault);
        }
        finally
        {
            Deadline.Clear();
            ReturnInput();
        }
    }

    private void LogConnected()
    {
        if (!Log.IsEnabled(LogLevel.Info))
        {
            return;
        }

        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        Context.AppendNumber(ref line);
        line.Append("client "u8);
        line.Append(_peer.Family == AddressFamilyKind.Unix ? "unix:" : _peer.ToString());
        line.Append(" connected to "u8);
        line.Append(_listen.Text);
        Log.Write(LogLevel.Info, line.Written);
    }

    private async ValueTask ReadProxyHeaderAsync()
    {
        Enter(LogActions.ReadingProxyProtocol);
        Deadline.Set(Client, Server.Settings.Timeout);
        int capacity = Math.Max(InputCapacity, ProxyHeaderParser.MaxVersion2Bytes);
        _input = Loop.Secrets.Rent(capacity);
        ProxyHeaderParse parse = default;
        do
        {
            int n = Client.TryRead(_input.AsSpan(_end, capacity - _end));
            if (n == Connection.WouldBlock)
            {
                await Client.Readable();
                continue;
            }

            parse = n > 0 ? ProxyHeaderParser.Parse(_input.AsSpan(0, _end += n)) : parse;
            if (n == 0 || parse.Status == ProxyHeaderStatus.Failed)
            {
                LogProxyHeaderFailure(parse);
                throw new SessionEndedException();
            }
        }
        while (parse.Status != ProxyHeaderStatus.Complete);

        ApplyProxyHeader(parse);
        Consume(parse.Consumed);
        if (_listen.Ssl)
        {
            Client.UnreadBeforeHandshake(Input);
            DiscardInput();
        }
    }

    private void LogProxyHeaderFailure(ProxyHeaderParse parse)
    {
        if (_end == 0)
        {
            return;
        }

        ProxyHeaderFailure failure = parse.Failure == ProxyHeaderFailure.None ? ProxyHeaderFailure.BrokenHeader : parse.Failure;
        ReadOnlySpan<byte> text = ProxyHeaderFailureText.Of(failure);
        switch (failure)
        {
            case ProxyHeaderFailure.BrokenHeader:
                LogQuoting(LogLevel.Error, text, ProxyHeaderFailureText.FirstLine(_input.AsSpan(0, _end)));
                break;
            case ProxyHeaderFailure.UnknownVersion:
                LogMessage(LogLevel.Error, Encoding.ASCII.GetBytes(Encoding.ASCII.GetString(text) + parse.Version));
                break;
            default:
                // A short address block: nginx says nothing; an administrator wants to know why a client was cut.
                LogMessage(LogLevel.Error, text.Length > 0 ? text : "broken header: short address block"u8);
                break;
        }
    }

    private void ApplyProxyHeader(ProxyHeaderParse parse)
    {
        if (parse.AddressKind == ProxyAddressKind.None)
        {
            return;
        }

        string source = AddressText(parse, parse.Source);
        ProxyAddresses = new ProxyAddresses(source, parse.SourcePort, AddressText(parse, parse.Destination), parse.DestinationPort);
        if (Server.Settings.RealIPFrom.Any(range => range.Contains(_peer)) && EndpointAddress.TryParseIP(source, parse.SourcePort) is { } real)
        {
            ClientAddress = real;
            Context.Client = real.ToAddressText();
            Context.Log = Context.Log == Server.Log ? Server.LogOf(real) : Context.Log;
        }
    }

    private string AddressText(ProxyHeaderParse parse, Protocol.ByteRange range)
    {
        ReadOnlySpan<byte> bytes = range.In(_input);
        return parse.AddressKind == ProxyAddressKind.Text
            ? Encoding.ASCII.GetString(bytes)
            : EndpointAddress.FromIP(bytes, 0).ToAddressText();
    }

    private Span<byte> FreeInput()
    {
        if (_start > 0 && (_end == _input!.Length || _end >= InputCapacity))
        {
            Input.CopyTo(_input);
            _end -= _start;
            _start = 0;
        }

        return _input.AsSpan(_end, Math.Max(InputCapacity, _end + 1) - _end);
    }

    private void OnConnectionEnded(ConnectionEndedException ended)
    {
        switch (ended.End)
        {
            case ConnectionEnd.TimedOut:
                // In a handshake, too, where nginx says nothing.
                LogInfo("client timed out"u8, Errno.TimedOut);
                break;
            case ConnectionEnd.ShutdownTimeout:
                LogInfo("shutdown timeout"u8);
                break;
            case ConnectionEnd.OutOfMemory:
                LogInfo("not enough memory, client turned away"u8);
                break;
            case ConnectionEnd.SocketError:
                LogText(LogLevel.Info, ended.Detail + " failed", ended.Errno);
                break;
            case ConnectionEnd.TlsError:
                LogText(ended.PeersFault ? LogLevel.Info : LogLevel.Crit, ended.Detail);
                CloseClient(); // with the alert
                return;
            default:
                break;
        }

        Client.Close();
    }

    private void OnFault(Exception fault)
    {
        // The type and place say what went wrong; the message could repeat a client's bytes.
        LogText(LogLevel.Alert, $"session failed: {fault.GetType().Name} {fault.StackTrace?.AsSpan().Trim().ToString().Split('\n')[0]}");
        if (!_clientGone)
        {
            EndWithInternalError();
        }
    }

    private void LogText(LogLevel level, string text, int errno = 0) => LogMessage(level, Encoding.UTF8.GetBytes(text), errno);

    private void ReturnInput()
    {
        if (_input is not null)
        {
            // It held the client's password.
            Loop.Secrets.Return(_input);
            _input = null;
        }
    }
}

/// <summary>Leaves a dialogue when the client is gone or was turned away; whatever there was to log is logged.</summary>
public sealed class SessionEndedException : Exception
{
    public SessionEndedException()
    {
    }

    public SessionEndedException(string message)
        : base(message)
    {
    }

    public SessionEndedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
