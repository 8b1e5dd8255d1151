using Postern.Interop;

namespace Postern.Server.Processes;

/// <summary>What is done to descriptors here and there.</summary>
internal static class Descriptors
{
    /// <summary>Another number for the same open file, closed on exec; -1 if there is none left.</summary>
    public static int Duplicate(int descriptor)
    {
        const int DuplicateCloseOnExec = 1030;
        return Libc.fcntl(descriptor, DuplicateCloseOnExec, 0);
    }

    /// <summary>Not to be inherited by children.</summary>
    public static void CloseOnExec(int descriptor)
    {
        const int Flag = 1;
        _ = Libc.fcntl(descriptor, Libc.F_SETFD, Flag);
    }
}
