using System.Globalization;
using Postern.Logging;

namespace Postern.Server.Running;

/// <summary>Directive <c>pid</c>: one line with the process id.</summary>
internal static class PidFile
{
    /// <summary>Writes the file.</summary>
    /// <returns>Null, or <c>open() "PATH" failed (13: Permission denied)</c>.</returns>
    public static string? Write(string path) => Try(path, FileMode.Create, Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");

    /// <summary>For <c>-t</c>: the file must be writable; it is created empty if missing, and otherwise left alone.</summary>
    public static string? Test(string path) => Try(path, FileMode.OpenOrCreate, "");

    /// <summary>The process the file names.</summary>
    /// <returns>Null if there is no such file, or no number in it.</returns>
    public static int? Read(string path)
    {
        try
        {
            return int.TryParse(File.ReadAllText(path).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>
    /// The other postern that runs and whose pid the file holds. A file left behind by one that has ended, whose number may belong to
    /// anybody by now, has none.
    /// </summary>
    public static int? Owner(string path)
    {
        try
        {
            return Read(path) is int id
                && id != Environment.ProcessId
                && IsOurs(File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/stat")))
                ? id
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>A reload has changed where the file is.</summary>
    /// <returns>Null, or why it cannot be there; it stays where it was then.</returns>
    public static string? Move(string from, string to)
    {
        if (from == to || from.Length == 0 || to.Length == 0)
        {
            return null;
        }

        return Write(to) ?? Remove(from);
    }

    /// <summary>Name and state of <c>/proc/PID/stat</c>, <c>4711 (postern) S …</c>: one that has ended and waits to be asked about is Z.</summary>
    private static bool IsOurs(string stat)
    {
        int end = stat.LastIndexOf(')');
        return stat[..end].EndsWith($"({ServerNaming.ProcessName}", StringComparison.Ordinal) && stat[(end + 2)..][0] != 'Z';
    }

    /// <summary>Removes the file at exit, unless it has become another running postern's.</summary>
    /// <returns>Null, or why it is still there.</returns>
    public static string? Remove(string path)
    {
        try
        {
            if (Owner(path) is null)
            {
                File.Delete(path);
            }

            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"unlink() \"{path}\" failed";
        }
    }

    private static string? Try(string path, FileMode mode, string text)
    {
        try
        {
            using var file = new FileStream(path, mode, FileAccess.Write, FileShare.ReadWrite);
            file.Write(System.Text.Encoding.ASCII.GetBytes(text));
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ErrorLogSet.OpenFailed(path, e);
        }
    }
}
