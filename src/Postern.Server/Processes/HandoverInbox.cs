using System.Text;
using Postern.Interop;
using Postern.Logging;

namespace Postern.Server.Processes;

/// <summary>Puts the messages of a channel together: handovers, and what else comes between them.</summary>
/// <param name="channel">Closed with this object.</param>
internal sealed class HandoverInbox(ProcessChannel channel) : IDisposable
{
    private readonly Queue<(LogLevel Level, string Text)> _lines = new();
    private List<int> _logs = [];
    private List<int> _sockets = [];

    /// <param name="descriptor">An inherited end of a channel.</param>
    public HandoverInbox(int descriptor)
        : this(new ProcessChannel(descriptor))
    {
        // Its children are not to inherit it in turn.
        Descriptors.CloseOnExec(descriptor);
    }

    public ProcessChannel Channel => channel;

    /// <summary>The next complete handover.</summary>
    /// <param name="wait">Whether to wait for it.</param>
    /// <param name="other">
    /// Takes messages that are no part of one, with the log files that came before them, which become the taker's.
    /// </param>
    /// <returns>Null if there is none (yet).</returns>
    public Handover? Receive(bool wait = false, Action<ReceivedMessage, IReadOnlyList<int>>? other = null)
    {
        while (channel.Receive(wait) is { } message)
        {
            switch (message.Kind)
            {
                case ChannelMessage.Begin:
                    CloseIncomplete();
                    break;
                case ChannelMessage.Logs:
                    _logs.AddRange(message.Descriptors);
                    break;
                case ChannelMessage.Sockets:
                    _sockets.AddRange(message.Descriptors);
                    break;
                case ChannelMessage.Complete:
                    (List<int> logs, List<int> sockets) = (_logs, _sockets);
                    (_logs, _sockets) = ([], []);
                    return Handover.FromMessages(logs, sockets, message);
                case ChannelMessage.Line:
                    _lines.Enqueue(((LogLevel)message.Payload[0], Encoding.UTF8.GetString(message.Payload.AsSpan(1))));
                    break;
                default:
                    List<int> taken = _logs;
                    _logs = [];
                    other?.Invoke(message, taken);
                    break;
            }
        }

        return null;
    }

    /// <summary>Lines for the log that have come.</summary>
    public IEnumerable<(LogLevel Level, string Text)> TakeLines()
    {
        while (_lines.TryDequeue(out (LogLevel Level, string Text) line))
        {
            yield return line;
        }
    }

    public void Dispose()
    {
        CloseIncomplete();
        channel.Dispose();
    }

    private void CloseIncomplete()
    {
        foreach (int descriptor in _logs.Concat(_sockets))
        {
            _ = Libc.close(descriptor);
        }

        (_logs, _sockets) = ([], []);
    }
}
