using System.Globalization;
using Postern.Interop;
using Postern.Net;

namespace Postern.Server.Running;

/// <summary>
/// <c>worker_priority</c>, <c>worker_rlimit_nofile</c>, <c>worker_rlimit_core</c>, <c>working_directory</c>: what the kernel is told
/// about a process that serves.
/// </summary>
/// <param name="Priority">Nice value; 0 = as inherited.</param>
/// <param name="OpenFiles">Null = as inherited.</param>
/// <param name="CoreBytes">Null = as inherited.</param>
/// <param name="Directory">Null = as inherited.</param>
internal sealed record WorkerLimits(int Priority, long? OpenFiles, long? CoreBytes, string? Directory)
{
    public static WorkerLimits Of(MainSettings settings) =>
        new(settings.WorkerPriority, settings.WorkerRlimitNofile, settings.WorkerRlimitCore, settings.WorkingDirectory);

    /// <summary>Sets priority and limits; threads made from here on inherit them.</summary>
    /// <param name="complain">Takes what the kernel refused; the old value stays then.</param>
    public void Raise(Action<string> complain)
    {
        if (Priority != 0 && Libc.setpriority(Libc.PRIO_PROCESS, 0, Priority) != 0)
        {
            complain(string.Create(CultureInfo.InvariantCulture, $"setpriority({Priority}) failed ({Errno.LastText()})"));
        }

        SetLimit(Libc.RLIMIT_NOFILE, "RLIMIT_NOFILE", OpenFiles, complain);
        SetLimit(Libc.RLIMIT_CORE, "RLIMIT_CORE", CoreBytes, complain);
    }

    /// <summary>What to say if the descriptors a serving process will have are fewer than the connections it may take.</summary>
    /// <param name="settings">With or without <c>worker_rlimit_nofile</c>.</param>
    /// <param name="warn">Hears it, if it is so.</param>
    public static unsafe void CompareConnections(MainSettings settings, Action<string> warn)
    {
        ulong* both = stackalloc ulong[2];
        long limit = settings.WorkerRlimitNofile
            ?? (Libc.getrlimit(Libc.RLIMIT_NOFILE, both) == 0 ? (long)Math.Min(both[0], long.MaxValue) : long.MaxValue);
        long loops = Service.Loops(settings);
        if (loops * settings.WorkerConnections > limit)
        {
            // nginx counts by process, of which each has a limit of its own; our loops share one.
            string times = loops > 1 ? string.Create(CultureInfo.InvariantCulture, $"{loops} times ") : "";
            warn(string.Create(CultureInfo.InvariantCulture, $"{times}{settings.WorkerConnections} worker_connections exceed open file resource limit: {limit}"));
        }
    }

    /// <summary>Changes to the working directory, with the rights the process has by then.</summary>
    /// <param name="complain">Takes the failure.</param>
    /// <returns>False if that failed.</returns>
    public bool EnterDirectory(Action<string> complain)
    {
        if (CoreBytes is not null)
        {
            // A change of user forbids core dumps; whoever sets a limit wants them.
            _ = Libc.prctl(Libc.PR_SET_DUMPABLE, 1, 0, 0, 0);
        }

        if (Directory is null || Libc.chdir(Directory) == 0)
        {
            return true;
        }

        complain($"chdir(\"{Directory}\") failed ({Errno.LastText()})");
        return false;
    }

    private static unsafe void SetLimit(int resource, string name, long? value, Action<string> complain)
    {
        if (value is not { } limit)
        {
            return;
        }

        ulong* both = stackalloc ulong[2];
        both[0] = both[1] = (ulong)limit;
        if (Libc.setrlimit(resource, both) != 0)
        {
            complain(string.Create(CultureInfo.InvariantCulture, $"setrlimit({name}, {limit}) failed ({Errno.LastText()})"));
        }
    }
}
