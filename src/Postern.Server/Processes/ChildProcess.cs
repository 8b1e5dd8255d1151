using System.Collections;
using System.Runtime.InteropServices;
using System.Text;
using Postern.Interop;

namespace Postern.Server.Processes;

/// <summary>How a process is started: posix_spawn(3), because a runtime with threads cannot fork.</summary>
internal sealed unsafe record ChildProcess
{
    /// <summary>This program, even if its file has been replaced since.</summary>
    public const string Self = "/proc/self/exe";

    public string Executable { get; init; } = Self;

    /// <summary>The first is the name ps(1) shows.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary><c>NAME=value</c></summary>
    public required IReadOnlyList<string> Environment { get; init; }

    /// <summary>Descriptors to be inherited under the same numbers. All others close on exec.</summary>
    public IReadOnlyList<int> Inherited { get; init; } = [];

    /// <summary>What is its standard error; -1 = as here.</summary>
    public int StandardError { get; init; } = -1;

    /// <summary>Whether it leads a session of its own, with standard input and output on /dev/null.</summary>
    public bool Detached { get; init; }

    /// <summary>The environment of this process.</summary>
    public static IEnumerable<string> OwnEnvironment() => System.Environment.GetEnvironmentVariables()
        .Cast<DictionaryEntry>()
        .Select(entry => $"{entry.Key}={entry.Value}");

    /// <summary>Starts it.</summary>
    /// <returns>Its id, or the negated errno.</returns>
    public int Start()
    {
        byte* attributes = stackalloc byte[Libc.SpawnObjectBytes];
        byte* actions = stackalloc byte[Libc.SpawnObjectBytes];
        byte* noSignals = stackalloc byte[Libc.SigsetBytes];
        new Span<byte>(noSignals, Libc.SigsetBytes).Clear();
        _ = Libc.posix_spawnattr_init(attributes);
        _ = Libc.posix_spawn_file_actions_init(actions);
        try
        {
            // Another release may expect to find no signal blocked.
            _ = Libc.posix_spawnattr_setsigmask(attributes, noSignals);
            _ = Libc.posix_spawnattr_setflags(attributes, (short)(Libc.POSIX_SPAWN_SETSIGMASK | (Detached ? Libc.POSIX_SPAWN_SETSID : 0)));
            foreach (int descriptor in Inherited)
            {
                _ = Libc.posix_spawn_file_actions_adddup2(actions, descriptor, descriptor);
            }

            if (StandardError >= 0)
            {
                _ = Libc.posix_spawn_file_actions_adddup2(actions, StandardError, 2);
            }

            if (Detached)
            {
                _ = Libc.posix_spawn_file_actions_addopen(actions, 0, "/dev/null", Libc.O_RDONLY, 0);
                _ = Libc.posix_spawn_file_actions_addopen(actions, 1, "/dev/null", Libc.O_WRONLY, 0);
            }

            using var arguments = new CStrings(Arguments);
            using var environment = new CStrings(Environment);
            int id;
            int errno = Libc.posix_spawn(&id, Executable, actions, attributes, arguments.Pointer, environment.Pointer);
            return errno == 0 ? id : -errno;
        }
        finally
        {
            _ = Libc.posix_spawn_file_actions_destroy(actions);
            _ = Libc.posix_spawnattr_destroy(attributes);
        }
    }

    /// <summary>An array of C strings that ends with a null pointer.</summary>
    private sealed class CStrings : IDisposable
    {
        public CStrings(IReadOnlyList<string> texts)
        {
            byte[][] bytes = [.. texts.Select(Encoding.UTF8.GetBytes)];
            int table = (bytes.Length + 1) * sizeof(nint);
            Pointer = (byte**)NativeMemory.AllocZeroed((nuint)(table + bytes.Sum(text => text.Length + 1)));
            byte* next = (byte*)Pointer + table;
            for (int i = 0; i < bytes.Length; i++)
            {
                Pointer[i] = next;
                bytes[i].CopyTo(new Span<byte>(next, bytes[i].Length));
                next += bytes[i].Length + 1;
            }
        }

        public byte** Pointer { get; }

        public void Dispose() => NativeMemory.Free(Pointer);
    }
}
