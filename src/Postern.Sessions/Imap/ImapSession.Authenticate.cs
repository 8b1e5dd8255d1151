using System.Buffers;
using System.Security.Cryptography;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Protocol;
using Postern.Protocol.Imap;
using Postern.Protocol.Sasl;

namespace Postern.Sessions.Imap;

/// <summary>AUTHENTICATE (RFC 9051 section 6.2.2): the SASL exchanges of mail-proxy 3.7.</summary>
internal sealed partial class ImapSession
{
    /// <summary>Words a continuation line may have (mail-proxy 3.7).</summary>
    private const int MaxSaslWords = 3;

    /// <summary>Runs the exchange. Consumes the command itself.</summary>
    /// <returns>Null if it failed; the client has been told, and may try again.</returns>
    private async ValueTask<Credentials?> AuthenticateAsync(ImapParse command)
    {
        SaslMechanism mechanism = ChooseMechanism();
        byte[]? initial = _parser.ArgumentCount == 2 ? Argument(1) : null;
        Consume(command.Consumed);
        if (mechanism == SaslMechanism.Unknown)
        {
            WriteInvalid();
            return null;
        }

        // The line and its continuations share one budget (mail-proxy 3.3).
        var exchange = new SaslExchange(InputCapacity - command.Consumed);
        switch (mechanism)
        {
            case SaslMechanism.Plain:
                return TakePlain(initial ?? await ChallengeAsync(exchange, ImapReplies.EmptyChallenge.ToArray()));
            case SaslMechanism.Login:
                byte[]? user = initial ?? await ChallengeAsync(exchange, ImapReplies.UsernameChallenge.ToArray());
                return user is null || Decode(user, mechanism) is not { } login
                    ? null
                    : TakeLoginPassword(login, await ChallengeAsync(exchange, ImapReplies.PasswordChallenge.ToArray()));
            case SaslMechanism.CramMd5:
                byte[] salt = SaslSalt.Create(
                    SecureRandom.NextUInt32(), TimeProvider.System.GetUtcNow().ToUnixTimeSeconds(), Server.ServerName);
                return TakeCramMd5(await ChallengeAsync(exchange, EncodeChallenge(salt)), salt);
            default:
                return TakeExternal(initial ?? await ChallengeAsync(exchange, ImapReplies.UsernameChallenge.ToArray()));
        }
    }

    /// <summary>What the client asked for, Unknown if it cannot have it in this form.</summary>
    private SaslMechanism ChooseMechanism()
    {
        if (MustStartTls || _parser.ArgumentCount is < 1 or > 2)
        {
            return SaslMechanism.Unknown;
        }

        SaslMechanism mechanism = SaslMechanismName.Parse(Argument(0));
        return mechanism switch
        {
            SaslMechanism.CramMd5 when !Methods.HasFlag(AuthMethods.CramMd5) || _parser.ArgumentCount == 2 => SaslMechanism.Unknown,

            // nginx lets EXTERNAL with an initial response pass unconfigured.
            SaslMechanism.External when !Methods.HasFlag(AuthMethods.External) => SaslMechanism.Unknown,
            _ => mechanism,
        };
    }

    /// <summary>Sends a challenge and reads the response's first word.</summary>
    /// <returns>Null if the line was not acceptable; the client has been told.</returns>
    private async ValueTask<byte[]?> ChallengeAsync(SaslExchange exchange, byte[] challenge)
    {
        Client.Write(challenge);
        var parser = new SaslLineParser(Math.Max(1, exchange.BytesLeft), MaxSaslWords);
        while (true)
        {
            SaslLine line = parser.Parse(Input);
            switch (line.Status)
            {
                case SaslLineStatus.NeedMore:
                    await FillAsync();
                    continue;
                case SaslLineStatus.Complete:
                    byte[] word = line.Word.In(Input).ToArray();
                    exchange.BytesLeft -= line.Consumed;
                    Consume(line.Consumed);
                    return word;
                case SaslLineStatus.Invalid:
                    Consume(line.Consumed);
                    WriteInvalid();
                    _errors++;
                    return EndOnTooManyErrors() ? throw new SessionEndedException() : null;
                default:
                    WriteInvalid();
                    LogInfo("client sent too long command \"AUTHENTICATE\""u8);
                    CloseClient();
                    throw new SessionEndedException();
            }
        }
    }

    private byte[] EncodeChallenge(byte[] salt)
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteChallenge(salt, scratch);
        return scratch.Written.ToArray();
    }

    private Credentials? TakePlain(byte[]? response)
    {
        if (response is null || Decode(response, SaslMechanism.Plain) is not { } decoded)
        {
            return null;
        }

        SaslFault fault = PlainMessage.TryParse(decoded, out PlainMessage message);
        Credentials? credentials = fault == SaslFault.None
            ? new Credentials(AuthMethod.Plain, Copy(message.Authcid, decoded), Copy(message.Password, decoded), [])
            : null;
        CryptographicOperations.ZeroMemory(decoded);
        return credentials ?? Refuse(fault, SaslMechanism.Plain);
    }

    private Credentials? TakeLoginPassword(byte[] login, byte[]? response) =>
        response is null || Decode(response, SaslMechanism.Login) is not { } password
            ? null
            : new Credentials(AuthMethod.Plain, login, password, []);

    private Credentials? TakeCramMd5(byte[]? response, byte[] salt)
    {
        if (response is null || Decode(response, SaslMechanism.CramMd5) is not { } decoded)
        {
            return null;
        }

        SaslFault fault = CramMd5Message.TryParse(decoded, out CramMd5Message message);
        return fault == SaslFault.None
            ? new Credentials(AuthMethod.CramMd5, Copy(message.Login, decoded), Copy(message.Digest, decoded), salt)
            : Refuse(fault, SaslMechanism.CramMd5);
    }

    private Credentials? TakeExternal(byte[]? response) =>
        response is null || Decode(response, SaslMechanism.External) is not { } login
            ? null
            : new Credentials(AuthMethod.External, login, [], []);

    /// <summary>Decodes and wipes a response.</summary>
    /// <returns>Null if it is not base64 (a cancelling <c>*</c> included); the client has been told.</returns>
    private byte[]? Decode(byte[] response, SaslMechanism mechanism)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(1, SaslBase64.MaxDecodedBytes(response.Length)));
        try
        {
            if (SaslBase64.TryDecode(response, buffer, out int length))
            {
                return buffer[..length];
            }

            _ = Refuse(SaslFault.InvalidBase64, mechanism);
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(response);
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
    }

    private Credentials? Refuse(SaslFault fault, SaslMechanism mechanism)
    {
        if (Server.Log.IsEnabled(LogLevel.Info))
        {
            Span<byte> text = stackalloc byte[96];
            LogInfo(text[..SaslFaultText.Write(fault, mechanism, text)]);
        }

        WriteInvalid();
        return null;
    }

    private static byte[] Copy(ByteRange range, byte[] source) => range.In(source).ToArray();

    /// <summary>What remains of the command's byte budget.</summary>
    private sealed class SaslExchange(int bytesLeft)
    {
        public int BytesLeft { get; set; } = bytesLeft;
    }
}
