using System.Globalization;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Net;

/// <summary>The error numbers that rooms above this one speak about.</summary>
public static class Errno
{
    /// <summary>ETIMEDOUT, which timeouts of our own are logged with.</summary>
    public const int TimedOut = Libc.ETIMEDOUT;

    /// <summary>As it stands in log lines, in parentheses there: <c>22: Invalid argument</c>.</summary>
    public static string Text(int errno) => string.Create(CultureInfo.InvariantCulture, $"{errno}: {Marshal.GetPInvokeErrorMessage(errno)}");

    /// <summary>Of the native call this thread made last.</summary>
    public static string LastText() => Text(Marshal.GetLastPInvokeError());

    /// <summary>
    /// Whether the number tells of the network or the other side (nginx logs those as errors), not of this host (crit).
    /// </summary>
    public static bool IsOtherSide(int errno) => errno is Libc.ECONNREFUSED or Libc.ECONNRESET or Libc.ENETDOWN or Libc.ENETUNREACH
        or Libc.EHOSTDOWN or Libc.EHOSTUNREACH or Libc.ETIMEDOUT or Libc.EAGAIN or Libc.EPIPE;
}
