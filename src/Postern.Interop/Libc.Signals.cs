using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>Signals as descriptors: pthread_sigmask(3), signalfd(2), poll(2).</summary>
public static unsafe partial class Libc
{
    public const int SIG_BLOCK = 0;
    public const int SIG_SETMASK = 2;
    public const int SFD_NONBLOCK = 0x800;
    public const int SFD_CLOEXEC = 0x80000;
    public const short POLLIN = 1;

    /// <summary>Size of <c>sigset_t</c> in bytes; signal N is bit N - 1.</summary>
    public const int SigsetBytes = 128;

    /// <summary>Size of <c>struct signalfd_siginfo</c> in bytes.</summary>
    public const int SignalfdSiginfoBytes = 128;

    /// <summary>Where <c>ssi_pid</c> stands in it; <c>ssi_signo</c> is at its beginning. Both have four bytes.</summary>
    public const int SsiPidOffset = 12;

    /// <summary>The mask of the calling thread. Both sets have <see cref="SigsetBytes"/>; either may be null.</summary>
    /// <returns>0 or an error number; errno is not set.</returns>
    [LibraryImport(Library)]
    public static partial int pthread_sigmask(int how, byte* set, byte* old);

    /// <returns>A descriptor, or -1.</returns>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int signalfd(int fd, byte* set, int flags);

    /// <returns>How many descriptors have something to tell, 0 at the end of the time, or -1.</returns>
    [LibraryImport(Library, SetLastError = true)]
    public static partial int poll(PollDescriptor* descriptors, nuint count, int timeoutMilliseconds);
}

/// <summary><c>struct pollfd</c>; a negative descriptor is passed over.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct PollDescriptor
{
    public int Descriptor;
    public short Events;
    public short Returned;
}
