using System.Text;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Tls;
using Postern.Protocol;
using Postern.Protocol.Sasl;

namespace Postern.Sessions;

/// <summary>The dialogue before sign-in: one command after the other (mail-proxy 3.3 to 3.5), and what the protocols put in.</summary>
public abstract partial class MailSession
{
    /// <summary>Commands answered in a row before other clients of the loop have their turn.</summary>
    private const int CommandsPerTurn = 64;

    private const SaslMechanisms AllMechanisms =
        SaslMechanisms.Plain | SaslMechanisms.Login | SaslMechanisms.CramMd5 | SaslMechanisms.External;

    private int _errors;
    private int _commandsThisTurn;
    private int _commandBytes;

    /// <summary>What the client hears when something goes wrong on our side of the proxy.</summary>
    private protected abstract ReadOnlySpan<byte> InternalServerError { get; }

    private protected AuthMethods Methods => Server.Settings.AuthMethods;

    /// <summary>The SASL mechanisms among the configured methods.</summary>
    private protected SaslMechanisms Mechanisms => (SaslMechanisms)(int)Methods & AllMechanisms;

    /// <summary>Whether signing in has to wait for STARTTLS (<c>starttls only</c>).</summary>
    private protected bool MustStartTls => Server.Settings.Tls.StartTls == StartTls.Only && !Client.IsTls;

    private protected bool MayStartTls => Server.Settings.Tls.StartTls != StartTls.Off && !Client.IsTls;

    /// <summary>What capability replies say about STARTTLS.</summary>
    private protected StartTlsOffer StartTlsOffer => !MayStartTls ? StartTlsOffer.None
        : MustStartTls ? StartTlsOffer.Required : StartTlsOffer.Optional;

    /// <summary>Says the greeting, after whatever must come before it.</summary>
    private protected abstract ValueTask GreetAsync();

    /// <summary>Reads one command and answers it.</summary>
    /// <returns>True if the session is over: the client was joined to its backend, or turned away.</returns>
    private protected abstract ValueTask<bool> TakeCommandAsync();

    /// <summary>Answers what is no command, or not now.</summary>
    private protected abstract void WriteInvalid();

    /// <summary>The command under way ends here; if input is left it belongs to the next one, or to the backend.</summary>
    private protected void FinishCommand()
    {
        Consume(_commandBytes);
        _commandBytes = 0;
    }

    /// <summary>The command under way has so many bytes of the input.</summary>
    private protected void BeginCommand(int bytes) => _commandBytes = bytes;

    /// <summary>Lets other clients have their turn when this one has sent many commands in a row.</summary>
    private protected async ValueTask ShareTurnAsync()
    {
        if (++_commandsThisTurn > CommandsPerTurn)
        {
            _commandsThisTurn = 0;
            await Loop.YieldTurn();
        }
    }

    /// <summary>What the client wants, in the parser's words: bytes of its own may be a password that came too late.</summary>
    private protected void LogCommand<TCommand>(TCommand command)
        where TCommand : struct, Enum
    {
        if (Log.IsEnabled(LogLevel.Debug))
        {
            LogDebug(Encoding.ASCII.GetBytes($"client command {command.ToString().ToUpperInvariant()}"));
        }
    }

    /// <summary>Counts an answered parser error towards <c>max_errors</c>; 0 behaves as 1.</summary>
    /// <returns>True if it was one too many; the client is closed then.</returns>
    private protected bool CountError()
    {
        if (++_errors < Math.Max(1, Server.Settings.MaxErrors))
        {
            return false;
        }

        LogInfo("client sent too many invalid commands"u8);
        CloseClient();
        return true;
    }

    /// <summary>Turns away who speaks HTTP to a mail port (cross-protocol attacks); the reply has been written.</summary>
    private protected void EndHttpClient()
    {
        LogInfo("client sent HTTP request"u8);
        CloseClient();
    }

    /// <summary>Turns away who sends no line end; the reply has been written.</summary>
    /// <param name="verb">All that is logged: the rest may be a password .</param>
    private protected void EndTooLong(ReadOnlySpan<byte> verb)
    {
        LogQuoting(LogLevel.Info, "client sent too long command "u8, verb);
        CloseClient();
    }

    /// <summary>
    /// Upgrades the connection (RFC 3207, RFC 2595); the go-ahead has been written. Nothing that was received in clear survives; what was
    /// learned from it is the protocol's to forget.
    /// </summary>
    private protected async ValueTask StartTlsAsync()
    {
        DiscardInput();
        await FlushIfFullAsync();
        Context.UsingStartTls = true;
        Context.Login = null;
        Deadline.Set(Client, Server.Settings.Timeout);
        await HandshakeAsync(LogActions.StartTls);
        Deadline.Set(Client, Server.Settings.Timeout);
        Enter(LogActions.Auth);
    }

    /// <summary>From the greeting to the hand-over or the goodbye. Returns when the client is no longer the session's.</summary>
    private async ValueTask ConverseAsync()
    {
        Enter(LogActions.SendingGreeting);
        await GreetAsync();
        Deadline.Set(Client, Server.Settings.Timeout);
        Enter(LogActions.Auth);
        while (!await TakeCommandAsync())
        {
            FinishCommand();
            await FlushIfFullAsync();
        }
    }
}
