using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Protocol.Pop3;

namespace Postern.Sessions.Pop3;

/// <summary>USER and PASS at the backend (mail-proxy 5.3), however the client signed in.</summary>
internal sealed partial class Pop3Session
{
    private protected override ReadOnlySpan<byte> FindUnfit(Credentials credentials) =>
        Pop3Upstream.CanCarry(credentials.Login) && Pop3Upstream.CanCarry(credentials.Password)
            ? default
            : "login or password has CR, LF or NUL, which a POP3 upstream cannot be told"u8;

    private protected override async ValueTask<ReadOnlyMemory<byte>> LoginAsync(
        Connection upstream, Credentials credentials, byte[] buffer)
    {
        if (await ReadReplyAsync(upstream, buffer, Pop3Upstream.Reply) == 0)
        {
            return default;
        }

        Enter(LogActions.SendingUserName);
        Send(upstream, "USER "u8, credentials.Login);
        if (await ReadReplyAsync(upstream, buffer, Pop3Upstream.Reply) == 0)
        {
            return default;
        }

        Enter(LogActions.SendingPassword);
        Send(upstream, "PASS "u8, credentials.Password);
        return buffer.AsMemory(0, await ReadReplyAsync(upstream, buffer, Pop3Upstream.Reply));
    }

    private void Send(Connection upstream, ReadOnlySpan<byte> verb, ReadOnlySpan<byte> argument)
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        Pop3Upstream.WriteCommand(verb, argument, scratch);
        upstream.Write(scratch.Written);
        scratch.Reset();
    }
}
