using Postern.Logging;
using Postern.Server.Running;

namespace Postern.Server.Processes;

/// <summary>
/// What a start says about the configuration on standard error and in the log. The command says what it finds itself, and the first worker, which reads
/// the same files, says the rest: nothing twice.
/// </summary>
/// <param name="said">Lines that have been said, as <see cref="ConfigLog.TextOf"/>.</param>
/// <param name="say">Says, and logs, one.</param>
/// <param name="end">Gives up what only the start needed: its log, and what was read.</param>
internal sealed class StartMessages(IEnumerable<string> said, Action<LogLevel, string> say, Action end)
{
    private readonly List<string> _said = [.. said];

    /// <summary>Says a line of the worker, unless it was said before.</summary>
    public void Say(LogLevel level, string text)
    {
        if (!_said.Remove(text))
        {
            say(level, text);
        }
    }

    /// <summary>Clients are served: nobody reads standard error any more.</summary>
    public void End()
    {
        _said.Clear();
        end();
    }
}
