using System.Globalization;
using System.Text;
using Postern.Interop;
using Postern.Server.Processes;

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

    /// <summary>
    /// Puts words in front of the command line that ps(1) shows. The kernel shows whatever stands where the arguments were put (proc(5),
    /// <c>cmdline</c>), into the environment behind them if need be: the runtime has copies of both.
    /// </summary>
    /// <param name="words">With the blank behind them.</param>
    public static unsafe void TitleProcess(string words)
    {
        // Fields 48 and 51 of proc(5), /proc/PID/stat; they are counted behind the name in parentheses, which is the second.
        const int FirstField = 3;
        const int ArgumentsStart = 48;
        const int EnvironmentEnd = 51;
        const string Statistics = "/proc/self/stat";
        string[] fields = File.Exists(Statistics) ? File.ReadAllText(Statistics).Split(") ")[^1].Split(' ') : [];
        if (fields.Length <= EnvironmentEnd - FirstField
            || !long.TryParse(fields[ArgumentsStart - FirstField], NumberStyles.None, CultureInfo.InvariantCulture, out long start)
            || !long.TryParse(fields[EnvironmentEnd - FirstField], NumberStyles.None, CultureInfo.InvariantCulture, out long end)
            || start == 0)
        {
            // Only a name: without it the service is as good.
            return;
        }

        // Until something is set, the runtime asks the C library, whose environment is about to be overwritten.
        Environment.SetEnvironmentVariable(ProcessRole.DetachedVariable, Environment.GetEnvironmentVariable(ProcessRole.DetachedVariable));
        var room = new Span<byte>((void*)start, (int)Math.Min(end - start, int.MaxValue));
        byte[] title = Encoding.UTF8.GetBytes(words + string.Join(' ', Environment.GetCommandLineArgs()));
        int length = Math.Min(title.Length, room.Length - 1);
        title.AsSpan(0, length).CopyTo(room);
        room[length] = 0;
    }
}
