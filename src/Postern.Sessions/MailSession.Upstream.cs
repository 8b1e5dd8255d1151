using System.Buffers;
using System.Text;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Relaying;
using Postern.Protocol;

namespace Postern.Sessions;

/// <summary>From complete credentials to the relay: the auth server's decision, then the login at the backend (mail-proxy 5).</summary>
public abstract partial class MailSession
{
    /// <summary>A smaller <c>proxy_buffer</c> could not hold a backend's reply .</summary>
    private const int MinReplyBytes = 256;

    private int _loginAttempt;

    /// <summary>Judges what a backend has answered in the current step.</summary>
    /// <param name="buffered">Everything received in it.</param>
    private protected delegate UpstreamReply ReplyClassifier(ReadOnlySpan<byte> buffered);

    /// <summary>The client was refused by the auth server.</summary>
    private protected abstract void WriteRefused(AuthDecision.Refused refused, ScratchWriter target);

    /// <summary>Logs the client in at its backend; the PROXY header has been sent.</summary>
    /// <param name="upstream">Connected, or about to be.</param>
    /// <param name="credentials">As the auth server left them.</param>
    /// <param name="buffer">For <see cref="ReadReplyAsync"/>.</param>
    /// <returns>What the client hears, may be in the buffer; empty if the backend refused and the client has been told.</returns>
    private protected abstract ValueTask<ReadOnlyMemory<byte>> LoginAsync(Connection upstream, Credentials credentials, byte[] buffer);

    /// <summary>The session's facts as the auth server is told them.</summary>
    /// <param name="attempt">1 for the session's first.</param>
    private protected virtual AuthRequest CreateAuthRequest(int attempt) => new()
    {
        Protocol = MailProtocols.AlpnName(Server.Settings.Protocol),
        LoginAttempt = attempt,
        ClientAddress = Context.Client,
        NeedsPassword = true,
        Proxy = ProxyAddresses,
        Client = Client,
    };

    /// <summary>Why the credentials cannot be told to a backend, for the log; empty = they can.</summary>
    private protected virtual ReadOnlySpan<byte> FindUnfit(Credentials credentials) => default;

    /// <summary>One attempt. Consumes the command, wipes the credentials.</summary>
    /// <param name="credentials">Null = the exchange failed, there is nothing to do.</param>
    /// <returns>True if the session is over: joined, or turned away. False if the client may try again.</returns>
    private protected async ValueTask<bool> SignInAsync(Credentials? credentials)
    {
        FinishCommand();
        if (credentials is null)
        {
            return false;
        }

        using (credentials)
        {
            Deadline.Clear();
            Context.Login = credentials.Login;
            Enter(LogActions.HttpAuth);
            AuthRequest request = CreateAuthRequest(++_loginAttempt);
            if (Log.IsEnabled(LogLevel.Debug))
            {
                LogText(LogLevel.Debug, $"asking auth http server {Server.Settings.AuthHttp.Address}, attempt {_loginAttempt}, method {credentials.Method}");
            }

            AuthDecision decision = await Server.AuthOn(Loop).DecideAsync(request, credentials, Context);
            switch (decision)
            {
                case AuthDecision.Accepted accepted:
                    await JoinAsync(accepted, credentials);
                    return true;
                case AuthDecision.Refused refused:
                    return await RefuseAsync(refused);
                default:
                    EndWithInternalError();
                    return true;
            }
        }
    }

    /// <summary>Reads the reply to one step; the buffer holds nothing of earlier steps.</summary>
    /// <returns>Its length; 0 if it was not the one hoped for (the client has been told).</returns>
    private protected async ValueTask<int> ReadReplyAsync(Connection upstream, byte[] buffer, ReplyClassifier classify)
    {
        int capacity = Math.Max(MinReplyBytes, Server.Settings.ProxyBufferBytes);
        int length = 0;
        while (true)
        {
            int n = upstream.TryRead(buffer.AsSpan(length, capacity - length));
            if (n == Connection.WouldBlock)
            {
                // Until then the action is the last thing sent: a timeout is logged with it.
                await upstream.Readable();
                Context.Action = LogActions.ReadingUpstreamResponse;
                continue;
            }

            if (n == 0)
            {
                LogMessage(LogLevel.Error, "upstream closed the connection"u8);
                EndWithInternalError();
                return 0;
            }

            length += n;
            UpstreamReply reply = classify(buffer.AsSpan(0, length));
            switch (reply.Outcome)
            {
                case UpstreamOutcome.Accepted:
                    LogDebug("upstream has accepted this step"u8);
                    return length;
                case UpstreamOutcome.NeedMore when length < capacity:
                    continue;
                case UpstreamOutcome.NeedMore:
                    LogQuoting(LogLevel.Error, "upstream sent too long response line: "u8, buffer.AsSpan(0, length));
                    EndWithInternalError();
                    return 0;
                default:
                    OnUpstreamRefused(buffer.AsSpan(0, length), reply);
                    return 0;
            }
        }
    }

    private async ValueTask<bool> RefuseAsync(AuthDecision.Refused refused)
    {
        if (refused.WaitSeconds > 0)
        {
            // First wait, then answer: guessing passwords is slow.
            await Client.Delay(TimeSpan.FromSeconds(refused.WaitSeconds));
        }

        ScratchWriter scratch = Loop.Scratch.Reset();
        WriteRefused(refused, scratch);
        Client.Write(scratch.Written);
        NotifyLogin(accepted: false, "");
        if (refused.WaitSeconds == 0)
        {
            CloseClient();
            return true;
        }

        Deadline.Set(Client, Server.Settings.Timeout);
        Enter(LogActions.Auth);
        return false;
    }

    /// <summary>Logs the client in at its backend and joins the two.</summary>
    private async ValueTask JoinAsync(AuthDecision.Accepted accepted, Credentials credentials)
    {
        Context.Upstream = accepted.UpstreamText;
        Enter(LogActions.ConnectingToUpstream);
        if (FindUnfit(credentials) is { IsEmpty: false } reason)
        {
            LogMessage(LogLevel.Error, reason);
            EndWithInternalError();
            return;
        }

        Connection? upstream = Connection.Connect(Loop, accepted.Upstream, out int errno, out string failedCall);
        if (upstream is null)
        {
            LogConnectFailure(errno, failedCall);
            EndWithInternalError();
            return;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(MinReplyBytes, Server.Settings.ProxyBufferBytes));
        bool joined = false;
        try
        {
            Deadline.Set(upstream, Server.Settings.Timeout);
            Client.Watch(() => OnClientActivity(upstream));
            if (Server.Settings.ProxyProtocol != OutgoingProxyProtocol.Off)
            {
                await SendProxyHeaderAsync(upstream);
            }

            ReadOnlyMemory<byte> reply = await LoginAsync(upstream, credentials, buffer);
            if (!reply.IsEmpty)
            {
                Client.Unwatch();
                HandOver(upstream, reply.Span);
                joined = true;
            }
        }
        catch (ConnectionEndedException ended) when (ended.Connection == upstream)
        {
            Client.Unwatch();
            if (ended.End == ConnectionEnd.EndOfStream)
            {
                // The client has gone, see OnClientActivity; there is nobody to answer.
                Client.Close();
                return;
            }

            LogUpstreamEnded(ended);
            EndWithInternalError();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
            if (!joined)
            {
                upstream.Close();
            }
        }
    }

    /// <summary>
    /// The client sent something, or went away, while its backend was being asked. What it sent waits for the relay; if it
    /// has gone and left nothing to deliver, the backend is let go at once.
    /// </summary>
    private void OnClientActivity(Connection upstream)
    {
        if (!TryFill() && Input.Length == 0)
        {
            upstream.Abort(ConnectionEnd.EndOfStream);
        }
    }

    /// <summary>The first bytes of the connection: they leave when it is there, or tell that it will not be.</summary>
    private async ValueTask SendProxyHeaderAsync(Connection upstream)
    {
        ScratchWriter header = Loop.Scratch.Reset();
        WriteProxyHeader(header);
        upstream.Write(header.Written);
        await upstream.Drained();
        Context.Action = LogActions.SendingProxyProtocol;
        upstream.ThrowIfSendFailed();
    }

    /// <summary><c>proxy_pass_error_message</c>: the client hears the backend's words, or that something is wrong.</summary>
    private void OnUpstreamRefused(ReadOnlySpan<byte> buffered, UpstreamReply reply)
    {
        bool pass = Server.Settings.ProxyPassErrorMessage;
        LogQuoting(pass ? LogLevel.Info : LogLevel.Error, "upstream sent invalid response: "u8, reply.LogText.In(buffered));
        NotifyLogin(accepted: false, Context.Upstream!);
        if (!pass)
        {
            EndWithInternalError();
            return;
        }

        Client.Write(buffered);
        CloseClient();
    }

    private void HandOver(Connection upstream, ReadOnlySpan<byte> reply)
    {
        Deadline.Clear();
        Enter(LogActions.Proxying);
        var joined = new JoinedSession(Context);
        joined.LogStart();
        NotifyLogin(accepted: true, Context.Upstream!);
        Client.Write(reply);
        upstream.Write(Input);
        ReleaseClient();
        Relay.Start(Client, upstream, Server.Settings.ProxyTimeout, joined);
    }

    private void NotifyLogin(bool accepted, string upstream)
    {
        if (Server.LoginObserver is { } observer)
        {
            string tls = Client.IsTls ? $"{Client.TlsVersion} {Client.TlsCipher}" : "";
            var elapsed = TimeSpan.FromMilliseconds(Loop.System.Milliseconds - _started);
            observer(new LoginNotice(Server.Settings.Protocol, Context.Client, Context.Login ?? [], accepted, tls, upstream, elapsed));
        }
    }

    private void LogConnectFailure(int errno, string failedCall)
    {
        if (failedCall.Length == 0)
        {
            LogMessage(LogLevel.Alert, Encoding.ASCII.GetBytes($"{Loop.MaxConnections} worker_connections are not enough"));
            return;
        }

        LogMessage(Errno.IsOtherSide(errno) ? LogLevel.Error : LogLevel.Crit, Encoding.UTF8.GetBytes(failedCall + " failed"), errno);
    }

    private void LogUpstreamEnded(ConnectionEndedException ended)
    {
        switch (ended.End)
        {
            case ConnectionEnd.TimedOut:
                LogInfo("upstream timed out"u8, Errno.TimedOut);
                break;
            case ConnectionEnd.ShutdownTimeout:
                LogInfo("shutdown timeout"u8);
                break;
            default:
                LogMessage(LogLevel.Error, Encoding.UTF8.GetBytes(ended.Detail + " failed"), ended.Errno);
                break;
        }
    }
}
