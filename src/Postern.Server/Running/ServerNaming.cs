using Postern.Interop;

namespace Postern.Server.Running;

/// <summary>What other programs call the processes of the server.</summary>
internal static class ServerNaming
{
    /// <summary>The name in <c>/proc/PID/comm</c>, by which ps(1) and pgrep(1) find it.</summary>
    public const string ProcessName = "postern";

    /// <summary>A process that was started through <c>/proc/self/exe</c> would be called <c>exe</c>. On the main thread.</summary>
    public static unsafe void NameProcess()
    {
        fixed (byte* name = "postern\0"u8)
        {
            _ = Libc.prctl(Libc.PR_SET_NAME, (nuint)name, 0, 0, 0);
        }
    }
}
