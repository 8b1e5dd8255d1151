namespace Postern.Net.Tests.Scripted;

/// <summary>A dialogue that reads all there is, as a session would: read until it would block, then await.</summary>
internal sealed class ReadingDialogue
{
    private readonly Connection _connection;
    private readonly byte[] _buffer;

    private ReadingDialogue(Connection connection, int bufferBytes)
    {
        _connection = connection;
        _buffer = new byte[bufferBytes];
    }

    /// <summary>What was read and not yet looked at by the test.</summary>
    public ByteQueue Read { get; } = new();

    /// <summary>The stream ended in order.</summary>
    public bool Ended { get; private set; }

    /// <summary>How it ended otherwise.</summary>
    public ConnectionEndedException? Failure { get; private set; }

    public static ReadingDialogue Start(Connection connection, int bufferBytes = 4096)
    {
        var dialogue = new ReadingDialogue(connection, bufferBytes);
        _ = dialogue.RunAsync();
        return dialogue;
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                int n = _connection.TryRead(_buffer);
                if (n == Connection.WouldBlock)
                {
                    await _connection.Readable();
                    continue;
                }

                if (n == 0)
                {
                    Ended = true;
                    return;
                }

                Read.Add(_buffer.AsSpan(0, n));
            }
        }
        catch (ConnectionEndedException e)
        {
            Failure = e;
        }
    }
}
