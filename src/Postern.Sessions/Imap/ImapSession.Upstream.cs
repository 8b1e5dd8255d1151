using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Protocol.Imap;

namespace Postern.Sessions.Imap;

/// <summary>LOGIN at the backend (mail-proxy 5.2), with the client's own tag.</summary>
internal sealed partial class ImapSession
{
    private protected override async ValueTask<ReadOnlyMemory<byte>> LoginAsync(
        Connection upstream, Credentials credentials, byte[] buffer)
    {
        if (await ReadReplyAsync(upstream, buffer, ImapUpstreamReply.Greeting) == 0)
        {
            return default;
        }

        Enter(LogActions.SendingLogin);
        if (SendQuotedLogin(upstream, credentials))
        {
            return await ReadLoginReplyAsync(upstream, buffer);
        }

        SendLiteralStart(upstream, credentials);
        if (await ReadReplyAsync(upstream, buffer, ImapUpstreamReply.Continuation) == 0)
        {
            return default;
        }

        Enter(LogActions.SendingUserName);
        SendLiteralUser(upstream, credentials);
        if (await ReadReplyAsync(upstream, buffer, ImapUpstreamReply.Continuation) == 0)
        {
            return default;
        }

        Enter(LogActions.SendingPassword);
        SendLiteralPassword(upstream, credentials);
        return await ReadLoginReplyAsync(upstream, buffer);
    }

    private async ValueTask<ReadOnlyMemory<byte>> ReadLoginReplyAsync(Connection upstream, byte[] buffer) =>
        buffer.AsMemory(0, await ReadReplyAsync(upstream, buffer, buffered => ImapUpstreamReply.Login(buffered, Tag)));

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
}
