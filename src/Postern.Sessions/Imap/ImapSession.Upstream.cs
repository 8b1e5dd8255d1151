using System.Buffers;
using System.Text;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Relaying;
using Postern.Protocol.Imap;

namespace Postern.Sessions.Imap;

/// <summary>From complete credentials to the relay: the auth server's decision, then LOGIN at the backend (mail-proxy 5.2).</summary>
internal sealed partial class ImapSession
{
    /// <summary>A smaller <c>proxy_buffer</c> could not hold a backend's reply .</summary>
    private const int MinReplyBytes = 256;

    private enum UpstreamStep
    {
        Greeting,
        Continuation,
        Login,
    }

    /// <summary>One attempt.</summary>
    /// <returns>True if the session is over: joined, or turned away. False if the client may try again.</returns>
    private async ValueTask<bool> SignInAsync(Credentials credentials)
    {
        Deadline.Clear();
        Context.Login = credentials.Login;
        Context.Action = LogActions.HttpAuth;
        AuthRequest request = CreateAuthRequest(++_loginAttempt, needsPassword: true);
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

    private async ValueTask<bool> RefuseAsync(AuthDecision.Refused refused)
    {
        if (refused.WaitSeconds > 0)
        {
            // First wait, then answer: guessing passwords is slow.
            await Client.Delay(TimeSpan.FromSeconds(refused.WaitSeconds));
        }

        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteRefused(Tag, refused.Message, scratch);
        Client.Write(scratch.Written);
        NotifyLogin(accepted: false, "");
        if (refused.WaitSeconds == 0)
        {
            CloseClient();
            return true;
        }

        Deadline.Set(Client, Server.Settings.Timeout);
        Context.Action = LogActions.Auth;
        return false;
    }

    /// <summary>Logs the client in at its backend and joins the two.</summary>
    private async ValueTask JoinAsync(AuthDecision.Accepted accepted, Credentials credentials)
    {
        Context.Upstream = accepted.UpstreamText;
        Context.Action = LogActions.ConnectingToUpstream;
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
            int length = await LoginAsync(upstream, credentials, buffer);
            if (length > 0)
            {
                Client.Unwatch();
                HandOver(upstream, buffer.AsSpan(0, length));
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

    /// <returns>Bytes of the backend's final reply in the buffer; 0 if it refused (the client has been told).</returns>
    private async ValueTask<int> LoginAsync(Connection upstream, Credentials credentials, byte[] buffer)
    {
        if (Server.Settings.ProxyProtocol != OutgoingProxyProtocol.Off)
        {
            ScratchWriter header = Loop.Scratch.Reset();
            WriteProxyHeader(header);
            upstream.Write(header.Written);
        }

        if (await ReadReplyAsync(upstream, buffer, UpstreamStep.Greeting) == 0)
        {
            return 0;
        }

        Context.Action = LogActions.SendingLogin;
        if (SendQuotedLogin(upstream, credentials))
        {
            return await ReadReplyAsync(upstream, buffer, UpstreamStep.Login);
        }

        SendLiteralStart(upstream, credentials);
        if (await ReadReplyAsync(upstream, buffer, UpstreamStep.Continuation) == 0)
        {
            return 0;
        }

        Context.Action = LogActions.SendingUserName;
        SendLiteralUser(upstream, credentials);
        if (await ReadReplyAsync(upstream, buffer, UpstreamStep.Continuation) == 0)
        {
            return 0;
        }

        Context.Action = LogActions.SendingPassword;
        SendLiteralPassword(upstream, credentials);
        return await ReadReplyAsync(upstream, buffer, UpstreamStep.Login);
    }

    private bool SendQuotedLogin(Connection upstream, Credentials credentials)
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        bool quoted = ImapLoginCommand.TryWriteQuoted(Tag, credentials.Login, credentials.Password, scratch);
        upstream.Write(scratch.Written);
        scratch.Reset();
        return quoted;
    }

    private void SendLiteralStart(Connection upstream, Credentials credentials)
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapLoginCommand.WriteLiteralStart(Tag, credentials.Login.Length, scratch);
        upstream.Write(scratch.Written);
    }

    private void SendLiteralUser(Connection upstream, Credentials credentials)
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapLoginCommand.WriteLiteralUser(credentials.Login, credentials.Password!.Length, scratch);
        upstream.Write(scratch.Written);
    }

    private void SendLiteralPassword(Connection upstream, Credentials credentials)
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapLoginCommand.WriteLiteralPassword(credentials.Password, scratch);
        upstream.Write(scratch.Written);
        scratch.Reset();
    }

    /// <summary>Reads the reply to one step; the buffer holds nothing of earlier steps.</summary>
    /// <returns>Its length; 0 if it was not the one hoped for (the client has been told).</returns>
    private async ValueTask<int> ReadReplyAsync(Connection upstream, byte[] buffer, UpstreamStep step)
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
            ImapUpstreamResult result = Classify(buffer.AsSpan(0, length), step);
            switch (result.Outcome)
            {
                case ImapUpstreamOutcome.Accepted:
                    return length;
                case ImapUpstreamOutcome.NeedMore when length < capacity:
                    continue;
                case ImapUpstreamOutcome.NeedMore:
                    LogQuoting(LogLevel.Error, "upstream sent too long response line: "u8, buffer.AsSpan(0, length));
                    EndWithInternalError();
                    return 0;
                default:
                    OnUpstreamRefused(buffer.AsSpan(0, length), result);
                    return 0;
            }
        }
    }

    private ImapUpstreamResult Classify(ReadOnlySpan<byte> reply, UpstreamStep step) => step switch
    {
        UpstreamStep.Greeting => ImapUpstreamReply.Greeting(reply),
        UpstreamStep.Continuation => ImapUpstreamReply.Continuation(reply),
        _ => ImapUpstreamReply.Login(reply, Tag),
    };

    /// <summary><c>proxy_pass_error_message</c>: the client hears the backend's words, or that something is wrong.</summary>
    private void OnUpstreamRefused(ReadOnlySpan<byte> reply, ImapUpstreamResult result)
    {
        bool pass = Server.Settings.ProxyPassErrorMessage;
        LogQuoting(pass ? LogLevel.Info : LogLevel.Error, "upstream sent invalid response: "u8, result.LogText.In(reply));
        NotifyLogin(accepted: false, Context.Upstream!);
        if (!pass)
        {
            EndWithInternalError();
            return;
        }

        Client.Write(reply);
        CloseClient();
    }

    private void HandOver(Connection upstream, ReadOnlySpan<byte> reply)
    {
        Deadline.Clear();
        Context.Action = LogActions.Proxying;
        var joined = new JoinedSession(Server, Context);
        joined.LogStart();
        NotifyLogin(accepted: true, Context.Upstream!);
        Client.Write(reply);
        upstream.Write(Input);
        ReleaseClient();
        Relay.Start(Client, upstream, Server.Settings.ProxyTimeout, joined);
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
