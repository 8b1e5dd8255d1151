using System.Security.Cryptography;
using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Protocol.Sasl;

namespace Postern.Sessions;

/// <summary>The SASL exchanges of mail-proxy 3.7, which are the same in all protocols but for prefixes and line lengths.</summary>
public abstract partial class MailSession
{
    /// <summary>Begins a line that asks for a response.</summary>
    private protected abstract ReadOnlySpan<byte> ChallengePrefix { get; }

    /// <summary>Words a response line may have; only the first one counts.</summary>
    private protected abstract int MaxSaslWords { get; }

    /// <summary>Whether the command and its continuation lines share one budget of bytes (IMAP, mail-proxy 3.3).</summary>
    private protected virtual bool SaslSharesCapacity => false;

    /// <summary>Runs the exchange a client asked for with <c>AUTH</c> or <c>AUTHENTICATE</c>. Consumes the command itself.</summary>
    /// <param name="mechanism">Its name.</param>
    /// <param name="initial">The initial response; null = none.</param>
    /// <returns>Null if it failed; the client has been told, and may try again.</returns>
    private protected async ValueTask<Credentials?> ExchangeAsync(byte[] mechanism, byte[]? initial)
    {
        // The line and its continuations share one budget in IMAP; elsewhere each line has its own.
        var budget = new SaslBudget(InputCapacity - (SaslSharesCapacity ? _commandBytes : 0));
        FinishCommand();
        switch (ChooseMechanism(mechanism, initial is not null))
        {
            case SaslMechanism.Plain:
                return TakePlain(initial ?? await ChallengeAsync(budget, []));
            case SaslMechanism.Login:
                return TakeLoginName(initial ?? await ChallengeAsync(budget, SaslChallenge.Username.ToArray())) is { } login
                    ? TakeLoginPassword(login, await ChallengeAsync(budget, SaslChallenge.Password.ToArray()))
                    : null;
            case SaslMechanism.CramMd5:
                // A new challenge for each attempt, so that an answer overheard is worth nothing.
                byte[] salt = CreateSalt();
                return TakeCramMd5(await ChallengeAsync(budget, salt), salt);
            case SaslMechanism.External:
                return TakeExternal(initial ?? await ChallengeAsync(budget, SaslChallenge.Username.ToArray()));
            default:
                // What is not answered may be a password all the same.
                CryptographicOperations.ZeroMemory(initial);
                WriteInvalid();
                return null;
        }
    }

    /// <summary>A fresh challenge for CRAM-MD5 or APOP.</summary>
    private protected byte[] CreateSalt() =>
        SaslSalt.Create(SecureRandom.NextUInt32(), TimeProvider.System.GetUtcNow().ToUnixTimeSeconds(), Server.ServerName);

    /// <summary>What the client asked for, Unknown if it cannot have it in this form.</summary>
    private SaslMechanism ChooseMechanism(ReadOnlySpan<byte> name, bool hasInitial)
    {
        SaslMechanism mechanism = SaslMechanismName.Parse(name);
        return mechanism switch
        {
            _ when MustStartTls => SaslMechanism.Unknown,
            SaslMechanism.CramMd5 when !Methods.HasFlag(AuthMethods.CramMd5) || hasInitial => SaslMechanism.Unknown,

            // nginx lets EXTERNAL with an initial response pass unconfigured.
            SaslMechanism.External when !Methods.HasFlag(AuthMethods.External) => SaslMechanism.Unknown,
            _ => mechanism,
        };
    }

    /// <summary>Sends a challenge and reads the response's first word.</summary>
    /// <returns>Null if the line was not acceptable; the client has been told.</returns>
    private async ValueTask<byte[]?> ChallengeAsync(SaslBudget budget, byte[] challenge)
    {
        WriteChallenge(challenge);
        var parser = new SaslLineParser(Math.Max(1, budget.BytesLeft), MaxSaslWords);
        while (true)
        {
            SaslLine line = parser.Parse(Input);
            switch (line.Status)
            {
                case SaslLineStatus.NeedMore:
                    await FillAsync();
                    continue;
                case SaslLineStatus.Complete:
                    byte[] word = SecretBuffers.Copy(line.Word.In(Input));
                    budget.BytesLeft -= SaslSharesCapacity ? line.Consumed : 0;
                    Consume(line.Consumed);
                    return word;
                case SaslLineStatus.Invalid:
                    Consume(line.Consumed);
                    WriteInvalid();
                    return CountError() ? throw new SessionEndedException() : null;
                default:
                    WriteInvalid();
                    EndTooLong("AUTH"u8);
                    throw new SessionEndedException();
            }
        }
    }

    private void WriteChallenge(ReadOnlySpan<byte> challenge)
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        SaslChallenge.Write(ChallengePrefix, challenge, scratch);
        Client.Write(scratch.Written);
    }

    private Credentials? TakePlain(byte[]? response)
    {
        if (response is null || Decode(response, SaslMechanism.Plain) is not { } decoded)
        {
            return null;
        }

        SaslFault fault = PlainMessage.TryParse(decoded, out PlainMessage message);
        Credentials? credentials = fault == SaslFault.None
            ? new Credentials(AuthMethod.Plain, message.Authcid.In(decoded).ToArray(), SecretBuffers.Copy(message.Password.In(decoded)), [])
            : null;
        CryptographicOperations.ZeroMemory(decoded);
        return credentials ?? Refuse(fault, SaslMechanism.Plain);
    }

    private byte[]? TakeLoginName(byte[]? response)
    {
        if (response is null || Decode(response, SaslMechanism.Login) is not { } login)
        {
            return null;
        }

        Context.Login = login;
        return login;
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
        Credentials? credentials = fault == SaslFault.None
            ? new Credentials(AuthMethod.CramMd5, message.Login.In(decoded).ToArray(), SecretBuffers.Copy(message.Digest.In(decoded)), salt)
            : null;
        CryptographicOperations.ZeroMemory(decoded);
        return credentials ?? Refuse(fault, SaslMechanism.CramMd5);
    }

    private Credentials? TakeExternal(byte[]? response) =>
        response is null || Decode(response, SaslMechanism.External) is not { } login
            ? null
            : new Credentials(AuthMethod.External, login, [], []);

    /// <summary>Decodes and wipes a response.</summary>
    /// <returns>Null if it is not base64 (a cancelling <c>*</c> included); the client has been told.</returns>
    private byte[]? Decode(byte[] response, SaslMechanism mechanism)
    {
        byte[] buffer = Loop.Secrets.Rent(SaslBase64.MaxDecodedBytes(response.Length));
        try
        {
            if (SaslBase64.TryDecode(response, buffer, out int length))
            {
                return SecretBuffers.Copy(buffer.AsSpan(0, length));
            }

            _ = Refuse(SaslFault.InvalidBase64, mechanism);
            return null;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(response);
            Loop.Secrets.Return(buffer);
        }
    }

    private Credentials? Refuse(SaslFault fault, SaslMechanism mechanism)
    {
        if (Log.IsEnabled(LogLevel.Info))
        {
            Span<byte> text = stackalloc byte[96];
            LogInfo(text[..SaslFaultText.Write(fault, mechanism, text)]);
        }

        WriteInvalid();
        return null;
    }

    /// <summary>What remains of the command's byte budget.</summary>
    private sealed class SaslBudget(int bytesLeft)
    {
        public int BytesLeft { get; set; } = bytesLeft;
    }
}
