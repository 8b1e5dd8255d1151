using System.Diagnostics;
using Postern.Interop;

namespace Postern.Net;

/// <summary>Random numbers from the kernel (getrandom(2)), without loading a cryptography library for them.</summary>
public static unsafe class SecureRandom
{
    public static uint NextUInt32()
    {
        uint value;

        // Small requests cannot be interrupted or cut short (getrandom(2), NOTES).
        nint got = Libc.getrandom((byte*)&value, sizeof(uint), 0);
        return got == sizeof(uint) ? value : throw new UnreachableException("getrandom() failed");
    }
}
