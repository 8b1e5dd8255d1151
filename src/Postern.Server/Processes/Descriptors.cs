using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Server.Processes;

/// <summary>What is done to descriptors here and there.</summary>
internal static class Descriptors
{
    /// <summary>Another number for the same open file, closed on exec; the negated errno if there is none left.</summary>
    public static int Duplicate(int descriptor)
    {
        const int DuplicateCloseOnExec = 1030;
        int copy = Libc.fcntl(descriptor, DuplicateCloseOnExec, 0);
        return copy >= 0 ? copy : -Marshal.GetLastPInvokeError();
    }

    /// <summary>
    /// If standard error is the one file, as in a process without a terminal whose log it is, it becomes the other: after a rotation by
    /// rename both have the same name otherwise.
    /// </summary>
    /// <param name="old">Descriptor of a log before it was opened again.</param>
    /// <param name="fresh">Descriptor of the same log now.</param>
    public static void MoveStandardError(int old, int fresh)
    {
        const int StandardError = 2;
        if (NameOf(old) is { } name && name == NameOf(StandardError))
        {
            _ = Libc.dup2(fresh, StandardError);
        }
    }

    /// <summary>Not to be inherited by children.</summary>
    public static void CloseOnExec(int descriptor)
    {
        const int Flag = 1;
        _ = Libc.fcntl(descriptor, Libc.F_SETFD, Flag);
    }

    /// <summary>The path the open file has now (proc(5)); null if there is no such descriptor.</summary>
    private static string? NameOf(int descriptor)
    {
        try
        {
            return new FileInfo(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{descriptor}")).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
