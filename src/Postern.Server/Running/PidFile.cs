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

    /// <summary>Removes the file at exit.</summary>
    /// <returns>Null, or why it is still there.</returns>
    public static string? Remove(string path)
    {
        try
        {
            File.Delete(path);
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
