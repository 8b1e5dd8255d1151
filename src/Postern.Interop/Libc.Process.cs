using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>Processes and users: kill(2), geteuid(2), getpwnam(3), getgrnam(3).</summary>
public static partial class Libc
{
    public const int SIGHUP = 1;
    public const int SIGQUIT = 3;
    public const int SIGUSR1 = 10;
    public const int SIGTERM = 15;

    /// <returns>0, or -1 with errno set.</returns>
    [LibraryImport("libc.so.6", SetLastError = true)]
    public static partial int kill(int pid, int sig);

    [LibraryImport("libc.so.6")]
    public static partial uint geteuid();

    /// <returns>A static struct passwd, or 0 if there is no such user.</returns>
    [LibraryImport("libc.so.6", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    public static partial nint getpwnam(string name);

    /// <returns>A static struct group, or 0 if there is no such group.</returns>
    [LibraryImport("libc.so.6", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    public static partial nint getgrnam(string name);
}
