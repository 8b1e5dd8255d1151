using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Server.Running;

/// <summary>A signal that arrived.</summary>
/// <param name="Number">Its number.</param>
/// <param name="Sender">Process that sent it; 0 = the kernel, on behalf of a terminal for example.</param>
internal readonly record struct ReceivedSignal(int Number, int Sender);

/// <summary>
/// The signals of mail-proxy 1.9 as a descriptor. They are blocked in every thread, so that they wait in the kernel, with their
/// senders, until the main thread asks for them; nothing of ours ever runs in a signal handler.
/// </summary>
internal sealed unsafe class ProcessSignals : IDisposable
{
    public const int Hup = 1;
    public const int Int = 2;
    public const int Quit = 3;
    public const int Usr1 = 10;
    public const int Usr2 = 12;
    public const int Pipe = 13;
    public const int Term = 15;
    public const int Child = 17;
    public const int Winch = 28;

    private static readonly int[] _ours = [Hup, Int, Quit, Usr1, Usr2, Term, Child, Winch];
    private static bool _blocked;

    public ProcessSignals()
    {
        Block();
        byte* set = stackalloc byte[Libc.SigsetBytes];
        Fill(set);
        Descriptor = Libc.signalfd(-1, set, Libc.SFD_NONBLOCK | Libc.SFD_CLOEXEC);
        if (Descriptor < 0)
        {
            throw Net.SystemCallException.FromErrno("signalfd()", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Readable when a signal waits.</summary>
    public int Descriptor { get; }

    /// <summary>
    /// Blocks the signals in the threads there are; those made later inherit it. To be called before any library starts
    /// threads. Once is enough.
    /// </summary>
    public static void Block()
    {
        if (_blocked)
        {
            return;
        }

        _blocked = true;
        const nint Default = 0;
        const nint Ignore = 1;

        // Shells start background jobs with INT and QUIT ignored, and a parent may ignore CHLD, which would hide the ends of workers.
        foreach (int signal in _ours)
        {
            _ = Libc.signal(signal, Default);
        }

        // A log that is a pipe nobody reads must cost a line, not the process.
        _ = Libc.signal(Pipe, Ignore);
        EveryThread.Run(BlockHere);
    }

    /// <summary>The next signal that waits; false if none does.</summary>
    public bool TryRead(out ReceivedSignal signal)
    {
        byte* info = stackalloc byte[Libc.SignalfdSiginfoBytes];
        if (Libc.read(Descriptor, info, Libc.SignalfdSiginfoBytes) != Libc.SignalfdSiginfoBytes)
        {
            signal = default;
            return false;
        }

        var bytes = new ReadOnlySpan<byte>(info, Libc.SignalfdSiginfoBytes);
        signal = new ReceivedSignal((int)Native(bytes), (int)Native(bytes[Libc.SsiPidOffset..]));
        return true;

        static uint Native(ReadOnlySpan<byte> at) =>
            BitConverter.IsLittleEndian ? BinaryPrimitives.ReadUInt32LittleEndian(at) : BinaryPrimitives.ReadUInt32BigEndian(at);
    }

    /// <summary><c>signal 15 (SIGTERM) received from 4711, exiting</c>.</summary>
    /// <param name="signal">What came.</param>
    /// <param name="action">What is done about it, as <c>exiting</c>; null = nothing to mention.</param>
    public static string Describe(ReceivedSignal signal, string? action)
    {
        string name = signal.Number switch
        {
            Hup => "SIGHUP",
            Int => "SIGINT",
            Quit => "SIGQUIT",
            Usr1 => "SIGUSR1",
            Usr2 => "SIGUSR2",
            Term => "SIGTERM",
            Child => "SIGCHLD",
            _ => "SIGWINCH",
        };
        string sender = signal.Sender == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" from {signal.Sender}");
        string tail = action is null ? "" : ", " + action;
        return string.Create(CultureInfo.InvariantCulture, $"signal {signal.Number} ({name}) received{sender}{tail}");
    }

    public void Dispose() => _ = Libc.close(Descriptor);

    private static void BlockHere()
    {
        byte* set = stackalloc byte[Libc.SigsetBytes];
        Fill(set);
        _ = Libc.pthread_sigmask(Libc.SIG_BLOCK, set, null);
    }

    private static void Fill(byte* set)
    {
        new Span<byte>(set, Libc.SigsetBytes).Clear();
        ulong bits = 0;
        foreach (int signal in _ours)
        {
            bits |= 1UL << (signal - 1);
        }

        // Signals above 64 are none of ours: the first word, in the machine's order, holds them all.
        Unsafe.WriteUnaligned(set, bits);
    }
}
