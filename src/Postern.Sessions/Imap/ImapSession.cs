using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Net.Tls;
using Postern.Protocol;
using Postern.Protocol.Imap;
using Postern.Protocol.Sasl;

namespace Postern.Sessions.Imap;

/// <summary>
/// An IMAP client before it is joined to its backend: the not-authenticated state of RFC 9051 section 3.1, as nginx's
/// mail proxy speaks it (mail-proxy 3.8).
/// </summary>
internal sealed partial class ImapSession : MailSession
{
    /// <summary>Commands answered in a row before other clients of the loop have their turn.</summary>
    private const int CommandsPerTurn = 64;

    private readonly ImapCommandParser _parser;
    private readonly byte[] _tagBytes = new byte[ImapCommandParser.MaxTagBytes];
    private int _tagLength;
    private int _errors;
    private int _loginAttempt;
    private int _commandsThisTurn;

    public ImapSession(MailServer server, Connection client, EndpointAddress peer, ListenSettings listen, long connectionNumber)
        : base(server, client, peer, listen, connectionNumber)
    {
        _parser = new ImapCommandParser(InputCapacity);
    }

    private protected override ReadOnlySpan<byte> InternalServerError => ImapReplies.InternalServerError;

    /// <summary>Tag of the command being answered; empty if it had none.</summary>
    private ReadOnlySpan<byte> Tag => _tagBytes.AsSpan(0, _tagLength);

    private AuthMethods Methods => Server.Settings.AuthMethods;

    /// <summary>Whether signing in has to wait for STARTTLS (<c>starttls only</c>).</summary>
    private bool MustStartTls => Server.Settings.Tls.StartTls == StartTls.Only && !Client.IsTls;

    private protected override async ValueTask ConverseAsync()
    {
        Context.Action = LogActions.SendingGreeting;
        Client.Write(ImapReplies.Greeting);
        Deadline.Set(Client, Server.Settings.Timeout);
        Context.Action = LogActions.Auth;
        while (true)
        {
            ImapParse command = await ReadCommandAsync();
            if (command.Status != ImapParseStatus.Complete)
            {
                if (!Reject(command))
                {
                    return;
                }

                continue;
            }

            Credentials? credentials = null;
            switch (command.Command)
            {
                case ImapCommand.Noop:
                    WriteCompleted();
                    break;
                case ImapCommand.Capability:
                    WriteCapability();
                    break;
                case ImapCommand.Logout:
                    Client.Write(ImapReplies.Bye);
                    WriteCompleted();
                    CloseClient();
                    return;
                case ImapCommand.StartTls:
                    if (await StartTlsAsync())
                    {
                        continue;
                    }

                    break;
                case ImapCommand.Login:
                    credentials = TakeLogin();
                    break;
                case ImapCommand.Authenticate:
                    credentials = await AuthenticateAsync(command);
                    if (credentials is null)
                    {
                        continue;
                    }

                    break;
                default:
                    WriteInvalid();
                    break;
            }

            if (command.Command != ImapCommand.Authenticate)
            {
                Consume(command.Consumed);
            }

            if (credentials is not null)
            {
                using (credentials)
                {
                    if (await SignInAsync(credentials))
                    {
                        return;
                    }
                }
            }

            await FlushIfFullAsync();
        }
    }

    /// <summary>Reads one command, with all its literals.</summary>
    private async ValueTask<ImapParse> ReadCommandAsync()
    {
        _parser.Reset();
        if (++_commandsThisTurn > CommandsPerTurn)
        {
            _commandsThisTurn = 0;
            await Loop.YieldTurn();
        }

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

    /// <summary>Answers what is not a command.</summary>
    /// <returns>False if the client was turned away.</returns>
    private bool Reject(ImapParse parse)
    {
        WriteInvalid();
        _errors++;
        switch (parse.Status)
        {
            case ImapParseStatus.TooLong:
                // Only the verb: the rest may be a password.
                LogQuoting(LogLevel.Info, "client sent too long command "u8, _parser.Verb.In(Input));
                break;
            case ImapParseStatus.InvalidClose when parse.IsHttpRequest:
                LogInfo("client sent HTTP request"u8);
                break;
            case ImapParseStatus.InvalidClose:
                LogInfo("client sent invalid command with a literal that cannot be skipped"u8);
                break;
            default:
                Consume(parse.Consumed);
                return !EndOnTooManyErrors();
        }

        CloseClient();
        return false;
    }

    /// <summary>Counts towards <c>max_errors</c>; 0 behaves as 1.</summary>
    private bool EndOnTooManyErrors()
    {
        if (_errors < Math.Max(1, Server.Settings.MaxErrors))
        {
            return false;
        }

        LogInfo("client sent too many invalid commands"u8);
        CloseClient();
        return true;
    }

    /// <summary>RFC 9051 section 6.2.1. Nothing that was learned or received in clear survives, but for the counters.</summary>
    /// <returns>Whether the connection is under TLS now.</returns>
    private async ValueTask<bool> StartTlsAsync()
    {
        if (Client.IsTls || Server.Settings.Tls.StartTls == StartTls.Off)
        {
            WriteInvalid();
            return false;
        }

        WriteCompleted();
        DiscardInput();
        await FlushIfFullAsync();
        Context.UsingStartTls = true;
        Context.Login = null;
        _tagLength = 0;
        Deadline.Set(Client, Server.Settings.Timeout);
        await HandshakeAsync(LogActions.StartTls);
        Deadline.Set(Client, Server.Settings.Timeout);
        Context.Action = LogActions.Auth;
        return true;
    }

    /// <summary>LOGIN (RFC 9051 section 6.2.3): exactly two arguments, the user not empty.</summary>
    private Credentials? TakeLogin()
    {
        if (MustStartTls || _parser.ArgumentCount != 2 || _parser.Argument(0).Range.Length == 0)
        {
            WriteInvalid();
            return null;
        }

        return new Credentials(AuthMethod.Plain, Argument(0), Argument(1), []);
    }

    private byte[] Argument(int index)
    {
        byte[] value = new byte[_parser.Argument(index).Range.Length];
        int length = _parser.CopyArgument(index, Input, value);
        if (length == value.Length)
        {
            return value;
        }

        // Without its backslashes it is shorter; what is left behind may be a password.
        byte[] exact = value[..length];
        value.AsSpan().Clear();
        return exact;
    }

    private void WriteCompleted()
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteCompleted(Tag, scratch);
        Client.Write(scratch.Written);
    }

    private void WriteInvalid()
    {
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteInvalidCommand(Tag, scratch);
        Client.Write(scratch.Written);
    }

    private void WriteCapability()
    {
        StartTlsOffer offer = Client.IsTls ? StartTlsOffer.None : Server.Settings.Tls.StartTls switch
        {
            StartTls.On => StartTlsOffer.Optional,
            StartTls.Only => StartTlsOffer.Required,
            _ => StartTlsOffer.None,
        };
        ScratchWriter scratch = Loop.Scratch.Reset();
        ImapReplies.WriteCapability(Server.CapabilityWords, (SaslMechanisms)(int)Methods & AllMechanisms, offer, scratch);
        ImapReplies.WriteCompleted(Tag, scratch);
        Client.Write(scratch.Written);
    }

    private const SaslMechanisms AllMechanisms =
        SaslMechanisms.Plain | SaslMechanisms.Login | SaslMechanisms.CramMd5 | SaslMechanisms.External;
}
