using Postern.Net;
using Postern.Net.Listening;
using Postern.Protocol;

namespace Postern.Sessions;

/// <summary>A session of a protocol whose commands are single lines: POP3 and SMTP.</summary>
/// <typeparam name="TCommand">The protocol's verbs.</typeparam>
internal abstract class CommandLineSession<TCommand>(
    MailServer server, Connection client, EndpointAddress peer, ListenSettings listen, long connectionNumber)
    : MailSession(server, client, peer, listen, connectionNumber)
    where TCommand : struct, Enum
{
    private protected abstract CommandLineParser<TCommand> Parser { get; }

    private protected override async ValueTask<bool> TakeCommandAsync()
    {
        Parser.Reset();
        await ShareTurnAsync();
        CommandLine<TCommand> line;
        while ((line = Parser.Parse(Input)).Status == CommandLineStatus.NeedMore)
        {
            await FillAsync();
        }

        BeginCommand(line.Consumed);
        LogCommand(line.Command);
        return line.Status == CommandLineStatus.Complete ? await AnswerAsync(line.Command) : Reject(line.Status);
    }

    /// <summary>Answers a command; the parser has its arguments.</summary>
    /// <returns>True if the session is over.</returns>
    private protected abstract ValueTask<bool> AnswerAsync(TCommand command);

    /// <summary>A copy of an argument of the command being answered.</summary>
    private protected byte[] Argument(int index) => Parser.Argument(index).In(Input).ToArray();

    /// <summary>A copy of an argument that is a password, or may be.</summary>
    private protected byte[] SecretArgument(int index) => SecretBuffers.Copy(Parser.Argument(index).In(Input));

    /// <summary>Answers what is no command.</summary>
    /// <returns>True if the client was turned away.</returns>
    private bool Reject(CommandLineStatus status)
    {
        WriteInvalid();
        switch (status)
        {
            case CommandLineStatus.TooLong:
                EndTooLong(Parser.Verb.In(Input));
                return true;
            case CommandLineStatus.HttpRequest:
                EndHttpClient();
                return true;
            default:
                return CountError();
        }
    }
}
