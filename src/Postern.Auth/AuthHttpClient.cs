using System.Globalization;
using System.Text;
using Postern.Logging;
using Postern.Net;
using Postern.Protocol.Http;

namespace Postern.Auth;

/// <summary>
/// Asks an auth server who the client is (nginx's <c>auth_http</c> protocol, mail-proxy section 4). One per loop and
/// server block; speaks HTTP on the loop itself, keeping connections alive where the server does.
/// </summary>
/// <param name="loop">The loop of the sessions that ask.</param>
/// <param name="settings">The server block's directives.</param>
public sealed class AuthHttpClient(EventLoop loop, AuthHttpSettings settings)
{
    /// <summary>
    /// How often one attempt may be put off by WAIT. nginx has no limit; a server that never decides must not hold a
    /// client for ever.
    /// </summary>
    private const int MaxWaits = 10;

    /// <summary>Shortest pause of a WAIT without Auth-Wait; nginx asks again at once, for ever .</summary>
    private const int MinWaitSeconds = 1;

    private readonly AuthHttpConnections _connections = new(loop);
    private readonly string _name = settings.Address.ToString();

    /// <summary>Asks until there is a decision. Never throws for what the auth server does.</summary>
    /// <param name="request">The facts.</param>
    /// <param name="credentials">Login and secret; updated by what the server answers.</param>
    /// <param name="context">The session's log facts.</param>
    public async ValueTask<AuthDecision> DecideAsync(AuthRequest request, Credentials credentials, SessionLogContext context)
    {
        var deadline = new Deadline(loop);
        try
        {
            for (int waits = 0; waits <= MaxWaits; waits++)
            {
                Answer answer = await AskAsync(request, credentials, context, deadline);
                deadline.Clear();
                if (answer.Decision is { } decision)
                {
                    return decision;
                }

                await request.Client.Delay(TimeSpan.FromSeconds(Math.Max(MinWaitSeconds, answer.WaitSeconds)));
            }
        }
        finally
        {
            deadline.Clear();
        }

        Complain(context, " answered WAIT too often"u8, 0);
        return AuthDecision.Failed.Instance;
    }

    /// <summary>One exchange; a kept connection that turns out dead is replaced once by a fresh one.</summary>
    private async ValueTask<Answer> AskAsync(AuthRequest request, Credentials credentials, SessionLogContext context, Deadline deadline)
    {
        Connection? kept = _connections.TryTake();
        if (kept is not null)
        {
            deadline.Set(kept, settings.Timeout);
            Exchange first = await ExchangeAsync(kept, request, credentials, context, mayBeStale: true);
            if (!first.WasStale)
            {
                return first.Answer;
            }
        }

        Connection? fresh = Connection.Connect(loop, settings.Address, out int errno, out string failedCall);
        if (fresh is null)
        {
            LogConnectFailure(context, errno, failedCall);
            return Answer.Failed;
        }

        if (deadline.IsArmed)
        {
            // One limit for the whole exchange, however many connections it took.
            deadline.MoveTo(fresh);
        }
        else
        {
            deadline.Set(fresh, settings.Timeout);
        }

        Exchange exchange = await ExchangeAsync(fresh, request, credentials, context, mayBeStale: false);
        return exchange.Answer;
    }

    private async ValueTask<Exchange> ExchangeAsync(
        Connection connection, AuthRequest request, Credentials credentials, SessionLogContext context, bool mayBeStale)
    {
        byte[] buffer = loop.Secrets.Rent(AuthResponseParser.MaxHeaderBytes);
        int received = 0;
        bool keep = false;
        try
        {
            Send(connection, request, credentials);
            var parser = new AuthResponseParser();
            while (true)
            {
                int n = connection.TryRead(buffer.AsSpan(received, AuthResponseParser.MaxHeaderBytes - received));
                if (n == Connection.WouldBlock)
                {
                    await connection.Readable();
                    continue;
                }

                if (n == 0)
                {
                    return mayBeStale && received == 0 ? Exchange.Stale : Cut(context);
                }

                received += n;
                switch (parser.Parse(buffer.AsSpan(0, received)))
                {
                    case AuthResponseResult.NeedMore when received < AuthResponseParser.MaxHeaderBytes:
                        continue;
                    case AuthResponseResult.Complete:
                        keep = TryKeep(connection, parser, received);
                        return new Exchange(Decide(parser, buffer, request, credentials, context), WasStale: false);
                    case AuthResponseResult.InvalidStatusLine:
                        Complain(context, " sent invalid response"u8, 0);
                        return Exchange.Failure;
                    case AuthResponseResult.InvalidHeader:
                        Complain(context, " sent invalid header in response"u8, 0);
                        return Exchange.Failure;
                    default:
                        Complain(context, " sent too long response"u8, 0);
                        return Exchange.Failure;
                }
            }
        }
        catch (ConnectionEndedException e) when (e.Connection == connection)
        {
            if (mayBeStale && received == 0 && e.End == ConnectionEnd.SocketError)
            {
                return Exchange.Stale;
            }

            LogEnded(context, e);
            return Exchange.Failure;
        }
        finally
        {
            // The response may carry the backend's password.
            loop.Secrets.Return(buffer);
            if (!keep)
            {
                connection.Close();
            }
        }
    }

    private void Send(Connection connection, AuthRequest request, Credentials credentials)
    {
        ScratchWriter scratch = loop.Scratch.Reset();
        AuthHttpRequestWriter.Write(settings, request, credentials, scratch);
        connection.Write(scratch.Written);
        scratch.Reset();
    }

    /// <summary>Whether the connection can carry another request; if so it has been taken care of.</summary>
    private bool TryKeep(Connection connection, AuthResponseParser parser, int received)
    {
        if (!parser.HasStatusLine || !parser.ConnectionKeepAlive || parser.ConnectionClose || parser.HasTransferEncoding)
        {
            return false;
        }

        long? body = parser.StatusCode is 204 or 304 ? 0 : parser.ContentLength;
        if (body is not { } length || length - (received - parser.Consumed) is < 0 or > BodySkipper.MaxBytes)
        {
            return false;
        }

        long left = length - (received - parser.Consumed);
        if (left == 0)
        {
            _connections.Give(connection);
        }
        else
        {
            BodySkipper.Start(connection, left, _connections.Give);
        }

        return true;
    }

    private Answer Decide(
        AuthResponseParser parser, byte[] buffer, AuthRequest request, Credentials credentials, SessionLogContext context)
    {
        LogAnswer(context, parser.Status);
        if (parser.User is { } user)
        {
            // The name for all that is logged of this attempt, a refusal included.
            context.Login = user.In(buffer).ToArray();
        }

        switch (parser.Status)
        {
            case AuthStatus.Refused:
                byte[] message = parser.Message!.Value.In(buffer).ToArray();
                LogRefused(context, message);
                return new Answer(new AuthDecision.Refused(
                    message, Math.Max(0, parser.WaitSeconds ?? 0), parser.ErrorCode?.In(buffer).ToArray() ?? []));
            case AuthStatus.Wait:
                Replace(parser, buffer, credentials);
                return new Answer(parser.WaitSeconds ?? 0);
            case AuthStatus.Ok:
                return new Answer(Accept(parser, buffer, request, credentials, context));
            default:
                // nginx takes a response without Auth-Status for success; we fail closed.
                Complain(context, " did not send Auth-Status"u8, 0);
                return Answer.Failed;
        }
    }

    private AuthDecision Accept(
        AuthResponseParser parser, byte[] buffer, AuthRequest request, Credentials credentials, SessionLogContext context)
    {
        // An empty one is as good as none.
        if (parser.Server is not { Length: > 0 } || parser.Port is not { Length: > 0 })
        {
            Complain(context, " did not send server or port"u8, 0);
            return AuthDecision.Failed.Instance;
        }

        Replace(parser, buffer, credentials);
        if (credentials.Password is null && request.NeedsPassword)
        {
            Complain(context, " did not send password"u8, 0);
            return AuthDecision.Failed.Instance;
        }

        ReadOnlySpan<byte> server = parser.Server.Value.In(buffer);
        ReadOnlySpan<byte> port = parser.Port.Value.In(buffer);
        EndpointAddress? address = EndpointAddress.TryParseIP(Encoding.Latin1.GetString(server), 0);
        if (address is null)
        {
            ComplainAbout(context, " sent invalid server address:\""u8, server);
            return AuthDecision.Failed.Instance;
        }

        if (!TryParsePort(port, out int number))
        {
            ComplainAbout(context, " sent invalid server port:\""u8, port);
            return AuthDecision.Failed.Instance;
        }

        string text = Encoding.Latin1.GetString(server) + ":" + Encoding.Latin1.GetString(port);
        return new AuthDecision.Accepted(address.WithPort(number), text);
    }

    private static void Replace(AuthResponseParser parser, byte[] buffer, Credentials credentials)
    {
        if (parser.User is { } user)
        {
            credentials.ReplaceLogin(user.In(buffer));
        }

        if (parser.Pass is { } pass)
        {
            credentials.ReplacePassword(pass.In(buffer));
        }
    }

    private static bool TryParsePort(ReadOnlySpan<byte> text, out int port)
    {
        port = 0;
        return text.Length > 0 && !text.ContainsAnyExceptInRange((byte)'0', (byte)'9')
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= 65535;
    }

    private Exchange Cut(SessionLogContext context)
    {
        Complain(context, " closed the connection before the end of its response"u8, 0);
        return Exchange.Failure;
    }

    private static void LogRefused(SessionLogContext context, byte[] message)
    {
        if (!context.Log.IsEnabled(LogLevel.Info))
        {
            return;
        }

        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        line.Append("client login failed: \""u8);
        line.AppendEscaped(message);
        line.Append("\""u8);
        context.AppendTail(ref line);
        context.Log.Write(LogLevel.Info, line.Written);
    }

    private void LogAnswer(SessionLogContext context, AuthStatus status)
    {
        if (!context.Log.IsEnabled(LogLevel.Debug))
        {
            return;
        }

        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        line.Append("auth http server "u8);
        line.Append(_name);
        line.Append(" answered "u8);
        line.Append(status.ToString());
        context.AppendTail(ref line);
        context.Log.Write(LogLevel.Debug, line.Written);
    }

    private void LogConnectFailure(SessionLogContext context, int errno, string failedCall)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        if (failedCall.Length == 0)
        {
            line.Append(loop.MaxConnections);
            line.Append(" worker_connections are not enough"u8);
            context.AppendTail(ref line);
            context.Log.Write(LogLevel.Alert, line.Written);
            return;
        }

        line.Append(failedCall);
        line.Append(" failed"u8);
        line.AppendErrno(errno);
        context.AppendTail(ref line);
        context.Log.Write(Errno.IsOtherSide(errno) ? LogLevel.Error : LogLevel.Crit, line.Written);
    }

    private void LogEnded(SessionLogContext context, ConnectionEndedException ended)
    {
        if (ended.End == ConnectionEnd.TimedOut)
        {
            Complain(context, " timed out"u8, Errno.TimedOut);
            return;
        }

        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        line.Append(ended.End == ConnectionEnd.SocketError ? ended.Detail + " failed" : "shutdown timeout");
        if (ended.Errno != 0)
        {
            line.AppendErrno(ended.Errno);
        }

        context.AppendTail(ref line);
        context.Log.Write(LogLevel.Error, line.Written);
    }

    /// <summary><c>auth http server NAME WHAT[ (ERRNO: TEXT)]</c> at level error.</summary>
    private void Complain(SessionLogContext context, ReadOnlySpan<byte> what, int errno)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        line.Append("auth http server "u8);
        line.Append(_name);
        line.Append(what);
        if (errno != 0)
        {
            line.AppendErrno(errno);
        }

        context.AppendTail(ref line);
        context.Log.Write(LogLevel.Error, line.Written);
    }

    private void ComplainAbout(SessionLogContext context, ReadOnlySpan<byte> what, ReadOnlySpan<byte> value)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        line.Append("auth http server "u8);
        line.Append(_name);
        line.Append(what);
        line.AppendEscaped(value);
        line.Append("\""u8);
        context.AppendTail(ref line);
        context.Log.Write(LogLevel.Error, line.Written);
    }

    /// <summary>A decision, or null and the seconds to wait before asking again.</summary>
    private readonly record struct Answer(AuthDecision? Decision, int WaitSeconds)
    {
        public Answer(AuthDecision decision)
            : this(decision, 0)
        {
        }

        public Answer(int waitSeconds)
            : this(null, waitSeconds)
        {
        }

        public static Answer Failed => new(AuthDecision.Failed.Instance);
    }

    private readonly record struct Exchange(Answer Answer, bool WasStale)
    {
        public static Exchange Stale => new(default, WasStale: true);

        public static Exchange Failure => new(Answer.Failed, WasStale: false);
    }
}
