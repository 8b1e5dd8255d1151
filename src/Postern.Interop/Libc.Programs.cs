using System.Runtime.InteropServices;

namespace Postern.Interop;

/// <summary>The program and the libraries loaded into this process: dl_iterate_phdr(3).</summary>
public static unsafe partial class Libc
{
    /// <summary>A segment that is mapped (elf(5), <c>p_type</c>).</summary>
    public const uint PT_LOAD = 1;

    /// <summary>A segment with code (elf(5), <c>p_flags</c>).</summary>
    public const uint PF_X = 1;

    /// <summary>A segment that is written to (elf(5), <c>p_flags</c>).</summary>
    public const uint PF_W = 2;

    /// <summary>Calls back for each of them; a result other than 0 ends it.</summary>
    [LibraryImport(Library)]
    public static partial int dl_iterate_phdr(delegate* unmanaged[Cdecl]<LoadedObject*, nuint, void*, int> callback, void* data);
}

/// <summary><c>struct dl_phdr_info</c>, its beginning.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct LoadedObject
{
    /// <summary>What is added to the addresses of its segments.</summary>
    public nint Base;

    /// <summary>Path, or empty for the program itself.</summary>
    public byte* Name;

    public ProgramHeader* Headers;

    public ushort HeaderCount;
}

/// <summary><c>Elf64_Phdr</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ProgramHeader
{
    public uint Type;
    public uint Flags;
    public ulong Offset;
    public long VirtualAddress;
    public ulong PhysicalAddress;
    public ulong FileBytes;
    public long MemoryBytes;
    public ulong Alignment;
}
