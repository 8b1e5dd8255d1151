using System.Globalization;
using Postern.Interop;

namespace Postern.Server.Processes;

/// <summary>
/// When the service manager's watchdog wants to hear of this service (sd_watchdog_enabled(3): <c>WATCHDOG_USEC</c>,
/// <c>WATCHDOG_PID</c>): three times in its interval the loops are asked, and only their answer is passed on. Times are milliseconds of
/// <see cref="Environment.TickCount64"/>.
/// </summary>
internal sealed class Watchdog
{
    /// <summary>One more than sd_watchdog_enabled(3) advises: the log names what is stuck before the manager ends it.</summary>
    private const long QuestionsPerInterval = 3;

    private readonly long _period;
    private long _next;

    /// <param name="microseconds"><c>WATCHDOG_USEC</c>: silence for so long makes the manager restart the service. Null or no number = no watchdog.</param>
    /// <param name="process"><c>WATCHDOG_PID</c>: the process it is meant for; null = any.</param>
    /// <param name="isSuccessor">Whether this process was started by the one it was meant for, which it replaces.</param>
    /// <param name="now">The time.</param>
    public Watchdog(string? microseconds, string? process, bool isSuccessor, long now)
    {
        bool isOurs = string.IsNullOrEmpty(process) || isSuccessor || process == Libc.getpid().ToString(CultureInfo.InvariantCulture);
        _period = isOurs && long.TryParse(microseconds, NumberStyles.None, CultureInfo.InvariantCulture, out long interval) && interval > 0
            ? Math.Max(1, interval / (1000 * QuestionsPerInterval))
            : 0;
        _next = _period > 0 ? now : -1;
    }

    /// <summary>When the loops are to be asked next; -1 = never.</summary>
    public long Next => _next;

    public static Watchdog OfThisProcess() => new(
        Environment.GetEnvironmentVariable("WATCHDOG_USEC"),
        Environment.GetEnvironmentVariable("WATCHDOG_PID"),
        InheritedSockets.FromUpgrade,
        Environment.TickCount64);

    /// <summary>Whether the loops are to be asked now; says so once a period.</summary>
    public bool IsDue(long now)
    {
        if (_next < 0 || now < _next)
        {
            return false;
        }

        _next = now + _period;
        return true;
    }
}
