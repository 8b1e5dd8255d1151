using System.Globalization;
using Postern.Interop;

namespace Postern.Server.Processes;

/// <summary>
/// Listening sockets this process was started with: by an older binary that is being replaced, or by a service manager
/// (sd_listen_fds(3)).
/// </summary>
internal static class InheritedSockets
{
    private const int FirstFromManager = 3;

    /// <summary>Whether an older binary started this one: it is part of the service already, and does not detach.</summary>
    public static bool FromUpgrade => Upgrade.Length > 0;

    private static string Upgrade => Environment.GetEnvironmentVariable(ProcessRole.SocketsVariable) ?? "";

    /// <summary>The descriptors; they belong to the caller.</summary>
    public static IReadOnlyList<int> Take()
    {
        List<int> taken = [.. Upgrade.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(Number).Where(number => number > 2)];
        if (Number(Environment.GetEnvironmentVariable("LISTEN_PID")) == Libc.getpid())
        {
            taken.AddRange(Enumerable.Range(FirstFromManager, Math.Max(0, Number(Environment.GetEnvironmentVariable("LISTEN_FDS")))));
        }

        taken.ForEach(Descriptors.CloseOnExec);
        return taken;
    }

    /// <returns>-1 if it is none.</returns>
    private static int Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1;
}
