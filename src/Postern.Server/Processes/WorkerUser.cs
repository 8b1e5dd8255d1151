using System.Globalization;
using Postern.Interop;
using Postern.Net;
using Postern.Server.Running;

namespace Postern.Server.Processes;

/// <summary>Directive <c>user</c>: whom the worker becomes.</summary>
internal static class WorkerUser
{
    /// <summary>Who it is when the configuration names nobody.</summary>
    public const string Default = "nobody";

    /// <param name="user">Known to the system: the configuration was checked.</param>
    /// <param name="group">Null = the user's own.</param>
    public static (uint User, uint Group) Find(string user, string? group)
    {
        // A user deleted in this moment becomes the one that owns nothing, not the one that owns all.
        const uint Nobody = 65534;
        if (!Libc.TryGetUser(user, out uint userId, out uint groupId))
        {
            return (Nobody, Nobody);
        }

        return group is not null && Libc.TryGetGroup(group, out uint named) ? (userId, named) : (userId, groupId);
    }

    /// <summary>Gives up every privilege, for all threads there are and will be.</summary>
    /// <returns>Null, or which call failed; the process must end then.</returns>
    public static string? Become(string user, uint userId, uint groupId)
    {
        // While it is still allowed: not even a program run by mistake could get a capability back.
        EveryThread.Run(DropBoundingSet);
        if (Libc.setgid(groupId) != 0)
        {
            return Failure("setgid", groupId);
        }

        if (Libc.initgroups(user, groupId) != 0)
        {
            return Failure("initgroups", groupId);
        }

        if (Libc.setuid(userId) != 0)
        {
            return Failure("setuid", userId);
        }

        // Root would keep its capabilities, and whoever starts a master may have made some inheritable.
        bool dropped = true;
        bool held = true;
        EveryThread.Run(() =>
        {
            dropped &= DropCapabilities();
            held &= Libc.prctl(Libc.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
        });
        return !dropped ? Failure("capset", 0) : held ? null : Failure("prctl", Libc.PR_SET_NO_NEW_PRIVS);
    }

    private static void DropBoundingSet()
    {
        // The kernel answers EINVAL for the first number it does not know. It ends here even if it never did.
        const int Limit = 64;
        for (uint capability = 0; capability < Limit && Libc.prctl(Libc.PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
        {
        }
    }

    /// <summary>Those of the calling thread: effective, permitted and inheritable.</summary>
    private static unsafe bool DropCapabilities()
    {
        uint* header = stackalloc uint[2] { Libc._LINUX_CAPABILITY_VERSION_3, 0 };
        uint* none = stackalloc uint[6] { 0, 0, 0, 0, 0, 0 };
        return Libc.capset(header, none) == 0;
    }

    private static string Failure(string call, long argument) =>
        string.Create(CultureInfo.InvariantCulture, $"{call}({argument}) failed ({Errno.LastText()})");
}
