using Postern.Auth;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Protocol;
using Postern.Protocol.Imap;

namespace Postern.Sessions.Imap;

/// <summary>
/// An IMAP client before it is joined to its backend: the not-authenticated state of RFC 9051 section 3.1, as nginx's
/// mail proxy speaks it (mail-proxy 3.8).
/// </summary>
internal sealed partial class ImapSession : MailSession
{
    /// <summary>Words a continuation line may have (mail-proxy 3.7).</summary>
    private const int MaxWords = 3;

    private readonly ImapCommandParser _parser;
    private readonly byte[] _tagBytes = new byte[ImapCommandParser.MaxTagBytes];
    private int _tagLength;

    public ImapSession(MailServer server, Connection client, EndpointAddress peer, ListenSettings listen, long connectionNumber)
        : base(server, client, peer, listen, connectionNumber)
    {
        _parser = new ImapCommandParser(InputCapacity);
    }

    private protected override ReadOnlySpan<byte> InternalServerError => ImapReplies.InternalServerError;

    private protected override ReadOnlySpan<byte> ChallengePrefix => ImapReplies.ChallengePrefix;

    private protected override int MaxSaslWords => MaxWords;

    private protected override bool SaslSharesCapacity => true;

    /// <summary>Tag of the command being answered; empty if it had none.</summary>
    private ReadOnlySpan<byte> Tag => _tagBytes.AsSpan(0, _tagLength);

    private protected override ValueTask GreetAsync()
    {
        Client.Write(ImapReplies.Greeting);
        return ValueTask.CompletedTask;
    }

    private protected override async ValueTask<bool> TakeCommandAsync()
    {
        ImapParse command = await ReadCommandAsync();
        BeginCommand(command.Consumed);
        LogCommand(command.Command);
        switch (command.Command)
        {
            case ImapCommand.Noop:
                WriteCompleted();
                return false;
            case ImapCommand.Capability:
                WriteCapability();
                return false;
            case ImapCommand.Logout:
                Client.Write(ImapReplies.Bye);
                WriteCompleted();
                CloseClient();
                return true;
            case ImapCommand.StartTls when MayStartTls:
                WriteCompleted();
                _tagLength = 0;
                await StartTlsAsync();
                return false;
            case ImapCommand.Login:
                return await SignInAsync(TakeLogin());
            case ImapCommand.Authenticate:
                return await SignInAsync(await AuthenticateAsync());
            default:
                return Reject(command);
        }
    }

    private protected override void WriteInvalid()
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteInvalidCommand(Tag, scratch);
        Client.Write(scratch.Written);
    }

    private protected override void WriteRefused(AuthDecision.Refused refused, ScratchWriter target) =>
        ImapReplies.WriteRefused(Tag, refused.Message, target);

    /// <summary>Reads one command, with all its literals.</summary>
    private async ValueTask<ImapParse> ReadCommandAsync()
    {
        _parser.Reset();
        await ShareTurnAsync();
        while (true)
        {
            ImapParse parse = _parser.Parse(Input);
            switch (parse.Status)
            {
                case ImapParseStatus.Continue:
                    Client.Write(ImapReplies.LiteralContinuation);
                    continue;
                case ImapParseStatus.NeedMore:
                    await FillAsync();
                    continue;
                default:
                    TakeTag(parse.Tag);
                    return parse;
            }
        }
    }

    private void TakeTag(ByteRange tag)
    {
        tag.In(Input).CopyTo(_tagBytes);
        _tagLength = tag.Length;
    }

    /// <summary>Answers what is no command, or not now.</summary>
    /// <returns>True if the client was turned away.</returns>
    private bool Reject(ImapParse parse)
    {
        WriteInvalid();
        switch (parse.Status)
        {
            case ImapParseStatus.Complete:
                return false;
            case ImapParseStatus.TooLong:
                EndTooLong(_parser.Verb.In(Input));
                return true;
            case ImapParseStatus.InvalidClose when parse.IsHttpRequest:
                EndHttpClient();
                return true;
            case ImapParseStatus.InvalidClose:
                LogInfo("client sent invalid command with a literal that cannot be skipped"u8);
                CloseClient();
                return true;
            default:
                return CountError();
        }
    }

    /// <summary>AUTHENTICATE (RFC 9051 section 6.2.2): a mechanism, perhaps an initial response.</summary>
    private async ValueTask<Credentials?> AuthenticateAsync()
    {
        if (_parser.ArgumentCount is < 1 or > 2)
        {
            WriteInvalid();
            return null;
        }

        return await ExchangeAsync(Argument(0), _parser.ArgumentCount == 2 ? Argument(1, secret: true) : null);
    }

    /// <summary>LOGIN (RFC 9051 section 6.2.3): exactly two arguments, the user not empty.</summary>
    private Credentials? TakeLogin()
    {
        if (MustStartTls || _parser.ArgumentCount != 2 || _parser.Argument(0).Range.Length == 0)
        {
            WriteInvalid();
            return null;
        }

        return new Credentials(AuthMethod.Plain, Argument(0), Argument(1, secret: true), []);
    }

    /// <summary>A copy of an argument; one that is a password, or may be, is in memory for such.</summary>
    private byte[] Argument(int index, bool secret = false)
    {
        int bytes = _parser.Argument(index).Range.Length;
        byte[] value = secret ? SecretBuffers.Allocate(bytes) : new byte[bytes];
        int length = _parser.CopyArgument(index, Input, value);
        if (length == value.Length)
        {
            return value;
        }

        // Without its backslashes it is shorter; what is left behind may be a password.
        byte[] exact = secret ? SecretBuffers.Copy(value.AsSpan(0, length)) : value[..length];
        value.AsSpan().Clear();
        return exact;
    }

    private void WriteCompleted()
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteCompleted(Tag, scratch);
        Client.Write(scratch.Written);
    }

    private void WriteCapability()
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteCapability(Server.CapabilityWords, Mechanisms, StartTlsOffer, scratch);
        ImapReplies.WriteCompleted(Tag, scratch);
        Client.Write(scratch.Written);
    }
}
