using Postern.Auth;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Protocol;
using Postern.Protocol.Pop3;

namespace Postern.Sessions.Pop3;

/// <summary>
/// A POP3 client before it is joined to its backend: the AUTHORIZATION state of RFC 1939 section 4, as nginx's mail proxy speaks it
/// (mail-proxy 3.9).
/// </summary>
internal sealed partial class Pop3Session : CommandLineSession<Pop3Command>
{
    private readonly Pop3CommandParser _parser;

    /// <summary>What USER named; null = PASS is not expected.</summary>
    private byte[]? _user;

    /// <summary>The greeting's challenge, for APOP; null = none was sent.</summary>
    private byte[]? _apopSalt;

    public Pop3Session(MailServer server, Connection client, EndpointAddress peer, ListenSettings listen, long connectionNumber)
        : base(server, client, peer, listen, connectionNumber)
    {
        _parser = new Pop3CommandParser(InputCapacity);
    }

    private protected override CommandLineParser<Pop3Command> Parser => _parser;

    private protected override ReadOnlySpan<byte> InternalServerError => Pop3Replies.InternalServerError;

    private protected override ReadOnlySpan<byte> ChallengePrefix => Pop3Replies.ChallengePrefix;

    private protected override int MaxSaslWords => Pop3CommandParser.MaxArguments;

    private protected override ValueTask GreetAsync()
    {
        // A client that sees a challenge may take it for CRAM-MD5, too; ours for that comes with AUTH.
        if ((Methods & (AuthMethods.Apop | AuthMethods.CramMd5)) == 0)
        {
            Client.Write(Pop3Replies.Greeting);
            return ValueTask.CompletedTask;
        }

        _apopSalt = CreateSalt();
        ScratchWriter scratch = Loop.Scratch.Reset();
        Pop3Replies.WriteGreeting(_apopSalt, scratch);
        Client.Write(scratch.Written);
        return ValueTask.CompletedTask;
    }

    private protected override async ValueTask<bool> AnswerAsync(Pop3Command command)
    {
        switch (command)
        {
            case Pop3Command.Noop:
                Client.Write(Pop3Replies.Ok);
                return false;
            case Pop3Command.Capa:
                WriteCapabilities();
                return false;
            case Pop3Command.Quit:
                Client.Write(Pop3Replies.Ok);
                CloseClient();
                return true;
            case Pop3Command.Pass when _user is not null && _parser.ArgumentCount == 1:
                return await SignInAsync(TakePassword());
            case Pop3Command.User or Pop3Command.Apop or Pop3Command.Auth or Pop3Command.Stls when _user is null:
                return await AnswerFirstAsync(command);
            default:
                WriteInvalid();
                return false;
        }
    }

    /// <summary>After any error a sign-in begins with USER again.</summary>
    private protected override void WriteInvalid()
    {
        _user = null;
        Client.Write(Pop3Replies.InvalidCommand);
    }

    private protected override void WriteRefused(AuthDecision.Refused refused, ScratchWriter target) =>
        Pop3Replies.WriteRefused(refused.Message, target);

    /// <summary>The commands that may not stand between USER and PASS.</summary>
    private async ValueTask<bool> AnswerFirstAsync(Pop3Command command)
    {
        switch (command)
        {
            case Pop3Command.Stls when MayStartTls:
                Client.Write(Pop3Replies.Ok);
                await StartTlsAsync();
                return false;
            case Pop3Command.User when _parser.ArgumentCount == 1 && !MustStartTls:
                _user = Argument(0);
                Context.Login = _user;
                Client.Write(Pop3Replies.Ok);
                return false;
            case Pop3Command.Apop when _parser.ArgumentCount == 2 && !MustStartTls && Methods.HasFlag(AuthMethods.Apop):
                return await SignInAsync(new Credentials(AuthMethod.Apop, Argument(0), SecretArgument(1), _apopSalt!));
            case Pop3Command.Auth when _parser.ArgumentCount == 0 && !MustStartTls:
                WriteMechanisms();
                return false;
            case Pop3Command.Auth when _parser.ArgumentCount is 1 or 2:
                return await SignInAsync(await ExchangeAsync(Argument(0), _parser.ArgumentCount == 2 ? SecretArgument(1) : null));
            default:
                WriteInvalid();
                return false;
        }
    }

    private Credentials TakePassword()
    {
        var credentials = new Credentials(AuthMethod.Plain, _user!, SecretArgument(0), []);
        _user = null;
        return credentials;
    }

    private void WriteCapabilities()
    {
        ScratchWriter scratch = Loop.Scratch.Reset();

        // Between USER and PASS nobody can begin TLS (RFC 2595 section 4).
        Pop3Replies.WriteCapabilities(
            Server.CapabilityWords, Mechanisms, _user is null ? StartTlsOffer : StartTlsOffer.None, scratch);
        Client.Write(scratch.Written);
    }

    private void WriteMechanisms()
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        Pop3Replies.WriteMechanisms(Mechanisms, scratch);
        Client.Write(scratch.Written);
    }
}
