namespace Postern.Net;

/// <summary>A system call that must not fail did: <c>bind() to 0.0.0.0:143 failed</c> and its errno.</summary>
public sealed class SystemCallException : Exception
{
    public SystemCallException()
    {
    }

    public SystemCallException(string message)
        : base(message)
    {
    }

    public SystemCallException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    private SystemCallException(string message, int errno)
        : base(message)
    {
        Errno = errno;
    }

    /// <summary>The Linux errno.</summary>
    public int Errno { get; }

    /// <summary>EADDRINUSE: another program, or another listen, has the address.</summary>
    public bool IsAddressInUse => Errno == Interop.Libc.EADDRINUSE;

    /// <param name="call">The call as nginx names it: <c>socket()</c>, <c>bind() to ADDR</c>.</param>
    /// <param name="errno">The Linux errno.</param>
    public static SystemCallException FromErrno(string call, int errno) =>
        new($"{call} failed ({Postern.Net.Errno.Text(errno)})", errno);
}
