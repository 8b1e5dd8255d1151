using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>Processes: posix_spawn(3), waitpid(2), credentials(7), prctl(2), sched_setaffinity(2).</summary>
public static unsafe partial class Libc
{
    /// <summary>More than <c>sizeof(posix_spawnattr_t)</c> and <c>sizeof(posix_spawn_file_actions_t)</c> of glibc (336 and 80), in bytes.</summary>
    public const int SpawnObjectBytes = 512;

    public const short POSIX_SPAWN_SETSIGMASK = 0x08;
    public const short POSIX_SPAWN_SETSID = 0x80;
    public const int WNOHANG = 1;
    public const int SIGKILL = 9;
    public const int ECHILD = 10;
    public const int PR_SET_DUMPABLE = 4;
    public const int PR_SET_NAME = 15;
    public const int PR_CAPBSET_DROP = 24;
    public const int PR_SET_NO_NEW_PRIVS = 38;
    public const int F_SETFD = 2;
    public const uint _LINUX_CAPABILITY_VERSION_3 = 0x20080522;

    /// <returns>0 or an error number; errno is not set. The arrays of C strings end with a null pointer.</returns>
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int posix_spawn(int* pid, string path, byte* fileActions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport(Library)]
    public static partial int posix_spawnattr_init(byte* attributes);

    [LibraryImport(Library)]
    public static partial int posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport(Library)]
    public static partial int posix_spawnattr_setsigmask(byte* attributes, byte* set);

    [LibraryImport(Library)]
    public static partial int posix_spawnattr_destroy(byte* attributes);

    [LibraryImport(Library)]
    public static partial int posix_spawn_file_actions_init(byte* actions);

    /// <summary>Equal descriptors only lose FD_CLOEXEC.</summary>
    [LibraryImport(Library)]
    public static partial int posix_spawn_file_actions_adddup2(byte* actions, int fd, int newFd);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int posix_spawn_file_actions_addopen(byte* actions, int fd, string path, int flags, uint mode);

    [LibraryImport(Library)]
    public static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int waitpid(int pid, int* status, int options);

    [LibraryImport(Library)]
    public static partial int getppid();

    /// <summary>All threads of the process, as are <see cref="setgid"/> and <see cref="initgroups"/>: glibc sees to it.</summary>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setuid(uint user);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int setgid(uint group);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int initgroups(string user, uint group);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int prctl(int option, nuint argument2, nuint argument3, nuint argument4, nuint argument5);

    /// <summary>The calling thread's, with 0 as the header's second number; the data are twice effective, permitted, inheritable.</summary>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int capset(uint* versionAndThread, uint* data);

    /// <summary>0 = the calling thread.</summary>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int sched_setaffinity(int thread, nuint bytes, byte* mask);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int sched_getaffinity(int thread, nuint bytes, byte* mask);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int pipe2(int* readAndWrite, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int dup2(int fd, int newFd);

    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    public static partial int fcntl(int fd, int command, int argument);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int rename(string from, string to);

    /// <summary>Numbers of a user, from <c>struct passwd</c> of the C library.</summary>
    /// <returns>False if there is no such user.</returns>
    public static bool TryGetUser(string name, out uint user, out uint group)
    {
        // name, password, uid, gid: two pointers and two numbers.
        byte* entry = (byte*)getpwnam(name);
        user = entry == null ? 0 : *(uint*)(entry + (2 * sizeof(nint)));
        group = entry == null ? 0 : *(uint*)(entry + (2 * sizeof(nint)) + sizeof(uint));
        return entry != null;
    }

    /// <summary>Number of a group, from <c>struct group</c> of the C library.</summary>
    /// <returns>False if there is no such group.</returns>
    public static bool TryGetGroup(string name, out uint group)
    {
        byte* entry = (byte*)getgrnam(name);
        group = entry == null ? 0 : *(uint*)(entry + (2 * sizeof(nint)));
        return entry != null;
    }
}
