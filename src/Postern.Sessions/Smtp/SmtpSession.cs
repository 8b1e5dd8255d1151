using Postern.Auth;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Protocol;
using Postern.Protocol.Smtp;

namespace Postern.Sessions.Smtp;

/// <summary>
/// An SMTP client before it is joined to its backend (RFC 5321 section 3, RFC 4954), as nginx's mail proxy speaks it (mail-proxy 3.10).
/// </summary>
internal sealed partial class SmtpSession : CommandLineSession<SmtpCommand>
{
    private readonly SmtpCommandParser _parser;

    /// <summary>The word of HELO or EHLO; null = none was said.</summary>
    private byte[]? _helo;

    /// <summary>It was EHLO.</summary>
    private bool _isExtended;

    /// <summary>The accepted MAIL command of <c>smtp_auth none</c>; null = no transaction.</summary>
    private byte[]? _mail;

    /// <summary>The RCPT command that the auth server and the backend are to decide about; null = the client signs in.</summary>
    private byte[]? _rcpt;

    public SmtpSession(MailServer server, Connection client, EndpointAddress peer, ListenSettings listen, long connectionNumber)
        : base(server, client, peer, listen, connectionNumber)
    {
        _parser = new SmtpCommandParser(InputCapacity);
    }

    private protected override CommandLineParser<SmtpCommand> Parser => _parser;

    private protected override ReadOnlySpan<byte> InternalServerError => SmtpReplies.InternalServerError;

    private protected override ReadOnlySpan<byte> ChallengePrefix => SmtpReplies.ChallengePrefix;

    private protected override int MaxSaslWords => SmtpCommandParser.MaxArguments;

    private protected override async ValueTask<bool> AnswerAsync(SmtpCommand command)
    {
        switch (command)
        {
            case SmtpCommand.Helo or SmtpCommand.Ehlo:
                TakeHelo(extended: command == SmtpCommand.Ehlo);
                return false;
            case SmtpCommand.Auth:
                return await SignInAsync(await AuthenticateAsync());
            case SmtpCommand.Mail:
                Client.Write(TakeMail());
                return false;
            case SmtpCommand.Rcpt:
                return await TakeRcptAsync();
            case SmtpCommand.Rset:
                _mail = null;
                Client.Write(SmtpReplies.Ok);
                return false;
            case SmtpCommand.Noop:
                Client.Write(SmtpReplies.Ok);
                return false;
            case SmtpCommand.Quit:
                Client.Write(SmtpReplies.Bye);
                CloseClient();
                return true;
            case SmtpCommand.StartTls when MayStartTls:
                Client.Write(SmtpReplies.StartTls);
                ForgetClient();
                await StartTlsAsync();
                return false;
            default:
                WriteInvalid();
                return false;
        }
    }

    private protected override void WriteInvalid() => Client.Write(SmtpReplies.InvalidCommand);

    private protected override void WriteRefused(AuthDecision.Refused refused, ScratchWriter target)
    {
        _rcpt = null;
        SmtpReplies.WriteRefused(refused.ErrorCode, refused.Message, target);
    }

    private protected override AuthRequest CreateAuthRequest(int attempt) => base.CreateAuthRequest(attempt) with
    {
        NeedsPassword = false,
        ClientHost = _clientHost,
        Mail = _rcpt is null ? null : new MailTransaction(_helo ?? [], _mail!, _rcpt),
    };

    /// <summary>RFC 3207 section 4.2: what was learned in clear is forgotten.</summary>
    private void ForgetClient()
    {
        _helo = null;
        _isExtended = false;
        _mail = null;
    }

    private void TakeHelo(bool extended)
    {
        if (_parser.ArgumentCount != 1)
        {
            Client.Write(SmtpReplies.InvalidArgument);
            return;
        }

        _helo = Argument(0);
        _isExtended = extended;
        _mail = null;
        ScratchWriter scratch = Loop.Scratch.Reset();
        if (extended)
        {
            SmtpReplies.WriteEhlo(Server.ServerName, Server.CapabilityWords, Mechanisms, StartTlsOffer, scratch);
        }
        else
        {
            SmtpReplies.WriteHelo(Server.ServerName, scratch);
        }

        Client.Write(scratch.Written);
    }

    private async ValueTask<Credentials?> AuthenticateAsync()
    {
        if (MustStartTls || _parser.ArgumentCount > 2)
        {
            WriteInvalid();
            return null;
        }

        if (_mail is not null)
        {
            // RFC 4954 section 4: not within a transaction. nginx allows it and loses the accepted MAIL.
            Client.Write(SmtpReplies.BadSequence);
            return null;
        }

        if (_parser.ArgumentCount == 0)
        {
            Client.Write(SmtpReplies.InvalidArgument);
            return null;
        }

        return await ExchangeAsync(Argument(0), _parser.ArgumentCount == 2 ? SecretArgument(1) : null);
    }

    /// <summary>MAIL is only remembered: who the backend is becomes known with the first RCPT.</summary>
    /// <returns>The reply.</returns>
    private ReadOnlySpan<byte> TakeMail()
    {
        if (!Methods.HasFlag(AuthMethods.None))
        {
            LogQuoting(LogLevel.Info, "client was rejected: "u8, _parser.Text.In(Input));
            return SmtpReplies.AuthenticationRequired;
        }

        if (MustStartTls)
        {
            // nginx's "starttls only" does not keep mail without AUTH from going in clear.
            return SmtpReplies.StartTlsRequired;
        }

        if (_mail is not null)
        {
            return SmtpReplies.BadSequence;
        }

        if (_parser.ArgumentCount == 0)
        {
            return SmtpReplies.InvalidArgument;
        }

        _mail = _parser.Text.In(Input).ToArray();
        Context.Login = null;
        return SmtpReplies.Ok;
    }

    /// <summary>The first RCPT is decided by the auth server, then by the backend, whose reply the client gets.</summary>
    private async ValueTask<bool> TakeRcptAsync()
    {
        if (MustStartTls && Methods.HasFlag(AuthMethods.None))
        {
            Client.Write(SmtpReplies.StartTlsRequired);
            return false;
        }

        if (_mail is null || _parser.ArgumentCount == 0)
        {
            Client.Write(_mail is null ? SmtpReplies.BadSequence : SmtpReplies.InvalidArgument);
            return false;
        }

        _rcpt = _parser.Text.In(Input).ToArray();
        return await SignInAsync(new Credentials(AuthMethod.None, [], [], []));
    }
}
