using System.Text;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Protocol;
using Postern.Protocol.Smtp;

namespace Postern.Sessions.Smtp;

/// <summary>The way into the backend (mail-proxy 5.4): who we are, who the client is, and its AUTH or its MAIL and RCPT.</summary>
internal sealed partial class SmtpSession
{
    private protected override ReadOnlySpan<byte> FindUnfit(Credentials credentials) =>
        Server.Settings.ProxySmtpAuth && _rcpt is null && credentials.Login.AsSpan().Contains((byte)0)
            ? "login has NUL, which AUTH PLAIN cannot tell an upstream"u8
            : default;

    private protected override async ValueTask<ReadOnlyMemory<byte>> LoginAsync(
        Connection upstream, Credentials credentials, byte[] buffer)
    {
        bool xclient = Server.Settings.XClient;
        if (await ReadReplyAsync(upstream, buffer, static reply => SmtpUpstream.Reply(reply, "220"u8)) == 0
            || !await SayHeloAsync(upstream, buffer, LogActions.SendingHelo, _isExtended || xclient, Server.ServerName)
            || (xclient && !await SayXClientAsync(upstream, buffer, credentials)))
        {
            return default;
        }

        if (_rcpt is not null)
        {
            return await ReplayAsync(upstream, buffer);
        }

        return Server.Settings.ProxySmtpAuth && !await SayAuthAsync(upstream, buffer, credentials)
            ? default
            : SmtpReplies.Authenticated.ToArray();
    }

    private async ValueTask<bool> SayHeloAsync(Connection upstream, byte[] buffer, string action, bool extended, byte[] name)
    {
        Enter(action);
        ScratchWriter scratch = Loop.Scratch.Reset();
        SmtpUpstream.WriteHelo(extended, name, scratch);
        upstream.Write(scratch.Written);
        return await ReadReplyAsync(upstream, buffer, ExpectOk) > 0;
    }

    /// <summary>XCLIENT, and then the client's own HELO: the upstream has begun anew.</summary>
    private async ValueTask<bool> SayXClientAsync(Connection upstream, byte[] buffer, Credentials credentials)
    {
        Enter(LogActions.SendingXClient);
        ScratchWriter scratch = Loop.Scratch.Reset();
        SmtpUpstream.WriteXClient(
            Encoding.ASCII.GetBytes(Context.Client),
            ClientAddress.Family == AddressFamilyKind.Inet6,
            Server.Settings.ProxySmtpAuth ? [] : credentials.Login,
            Encoding.ASCII.GetBytes(_clientHost),
            scratch);
        upstream.Write(scratch.Written);
        return await ReadReplyAsync(upstream, buffer, static reply => SmtpUpstream.Reply(reply, "220"u8, "250"u8)) > 0
            && (_helo is null || await SayHeloAsync(upstream, buffer, LogActions.SendingClientHelo, _isExtended, _helo));
    }

    private async ValueTask<bool> SayAuthAsync(Connection upstream, byte[] buffer, Credentials credentials)
    {
        Enter(LogActions.SendingAuth);
        if (credentials.Password is null)
        {
            LogMessage(LogLevel.Error, "no password available"u8);
            EndWithInternalError();
            return false;
        }

        ScratchWriter scratch = Loop.Scratch.Reset();
        SmtpUpstream.WriteAuthPlain(credentials.Login, credentials.Password, scratch);
        upstream.Write(scratch.Written);
        scratch.Reset();
        return await ReadReplyAsync(upstream, buffer, static reply => SmtpUpstream.Reply(reply, "235"u8)) > 0;
    }

    /// <summary>MAIL and RCPT without AUTH, as the client sent them.</summary>
    /// <returns>The answer to RCPT, whatever its code: a refused recipient is the client's affair, the session goes on.</returns>
    private async ValueTask<ReadOnlyMemory<byte>> ReplayAsync(Connection upstream, byte[] buffer)
    {
        Enter(LogActions.SendingMailFrom);
        SendLine(upstream, _mail);
        if (await ReadReplyAsync(upstream, buffer, ExpectOk) == 0)
        {
            return default;
        }

        Enter(LogActions.SendingRcptTo);
        SendLine(upstream, _rcpt);
        return buffer.AsMemory(0, await ReadReplyAsync(upstream, buffer, static reply => SmtpUpstream.Reply(reply, default)));
    }

    private static void SendLine(Connection upstream, ReadOnlySpan<byte> line)
    {
        upstream.Write(line);
        upstream.Write("\r\n"u8);
    }

    private static UpstreamReply ExpectOk(ReadOnlySpan<byte> buffered) => SmtpUpstream.Reply(buffered, "250"u8);
}
