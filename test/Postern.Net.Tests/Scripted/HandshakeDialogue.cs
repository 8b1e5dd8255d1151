using Postern.Net.Tls;

namespace Postern.Net.Tests.Scripted;

/// <summary>A dialogue that only shakes hands.</summary>
internal sealed class HandshakeDialogue
{
    /// <summary>Null while it is going on.</summary>
    public HandshakeOutcome? Outcome { get; private set; }

    public ConnectionEndedException? Failure { get; private set; }

    public static HandshakeDialogue AsServer(Connection connection, TlsContext context)
    {
        var dialogue = new HandshakeDialogue();
        _ = dialogue.RunAsync(() => connection.HandshakeAsServerAsync(context));
        return dialogue;
    }

    public static HandshakeDialogue AsClient(Connection connection, TlsContext context)
    {
        var dialogue = new HandshakeDialogue();
        _ = dialogue.RunAsync(() => connection.HandshakeAsClientAsync(context, serverName: null));
        return dialogue;
    }

    private async Task RunAsync(Func<ValueTask<HandshakeOutcome>> handshake)
    {
        try
        {
            Outcome = await handshake();
        }
        catch (ConnectionEndedException e)
        {
            Failure = e;
        }
    }
}
