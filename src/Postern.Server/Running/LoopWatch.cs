using System.Globalization;
using Postern.Logging;
using Postern.Net;

namespace Postern.Server.Running;

/// <summary>
/// Finds out whether the event loops still turn: each gets a message it answers in its next turn. Used on the main thread, which
/// hears the answers through its queue.
/// </summary>
/// <param name="orders">The main thread's queue.</param>
/// <param name="log">Takes the loops that do not turn.</param>
internal sealed class LoopWatch(OrderQueue orders, Action<LogLevel, string> log)
{
    /// <summary>
    /// A loop is called stuck only if it had so long: of two questions that waited together in a process that was stopped, the second
    /// says nothing about the loops.
    /// </summary>
    public const long PatienceMilliseconds = 100;

    /// <summary>Loops that have not answered yet, and whether the log knows.</summary>
    private readonly Dictionary<int, bool> _silent = [];

    private Action? _answered;
    private long _askedAt;

    /// <summary>Asks all loops. While answers to an earlier question are missing, only says in the log whose.</summary>
    /// <param name="loops">Those that run, by number.</param>
    /// <param name="now">Milliseconds.</param>
    /// <param name="answered">Called once, when all have answered.</param>
    public void Ask(IEnumerable<(int Index, EventLoop Loop)> loops, long now, Action answered)
    {
        if (_silent.Count > 0)
        {
            if (now - _askedAt >= PatienceMilliseconds)
            {
                ReportSilent(now);
            }

            return;
        }

        _askedAt = now;
        _answered = answered;
        foreach ((int index, EventLoop loop) in loops)
        {
            _silent.Add(index, false);
            loop.Post(() => orders.Add(() => OnAnswer(index)));
        }
    }

    /// <summary>The loop has answered, or ended.</summary>
    public void OnAnswer(int index)
    {
        if (!_silent.Remove(index, out bool reported))
        {
            return;
        }

        if (reported)
        {
            log(LogLevel.Notice, string.Create(CultureInfo.InvariantCulture, $"event loop {index} turns again"));
        }

        if (_silent.Count == 0)
        {
            _answered?.Invoke();
        }
    }

    private void ReportSilent(long now)
    {
        foreach (int index in _silent.Where(loop => !loop.Value).Select(loop => loop.Key).ToList())
        {
            _silent[index] = true;
            log(LogLevel.Alert, string.Create(CultureInfo.InvariantCulture, $"event loop {index} has not turned for {now - _askedAt} ms"));
        }
    }
}
