using System.Runtime.InteropServices;
using Postern.Interop;
using Postern.Net;

namespace Postern.Server.Processes;

/// <summary>What one message between master, worker and loader means.</summary>
internal enum ChannelMessage : byte
{
    /// <summary>To any: descriptors follow. What came before without its end was cut off.</summary>
    Begin = 1,

    /// <summary>To any: descriptors of log files; further messages follow.</summary>
    Logs,

    /// <summary>To any: descriptors of listening sockets; further messages follow.</summary>
    Sockets,

    /// <summary>To any: the one descriptor of a memory file; with what came before it, a <see cref="Handover"/> is complete.</summary>
    Complete,

    /// <summary>To a worker: the log files that came before replace those in use.</summary>
    Reopened,

    /// <summary>To a worker: no new clients, end with the last session.</summary>
    Quit,

    /// <summary>To a worker: do your loops turn?</summary>
    AreYouAlive,

    /// <summary>From a worker: it serves the handover it got last.</summary>
    Serving,

    /// <summary>From a worker: all its loops have turned since it was asked.</summary>
    Alive,

    /// <summary>From a worker: it was asked to reopen its logs, and cannot.</summary>
    WantsReopening,

    /// <summary>From a loader, or a worker that reads its first configuration: a line for the log. The first byte is the level, then UTF-8.</summary>
    Line,

    /// <summary>From a loader: it has made the file of a unix socket, at this path (UTF-8).</summary>
    UnixFile,
}

/// <summary>A message that arrived. Its descriptors belong to whoever takes it.</summary>
internal sealed record ReceivedMessage(ChannelMessage Kind, byte[] Payload, int[] Descriptors);

/// <summary>
/// One end of a socket pair between two of our processes (unix(7), SOCK_SEQPACKET): messages with descriptors. Sending never
/// waits: a process that does not read must not hold up the one that watches over it.
/// </summary>
/// <param name="descriptor">This end; closed by <see cref="Dispose"/>.</param>
internal sealed unsafe class ProcessChannel(int descriptor) : IDisposable
{
    /// <summary>The kernel passes at most 253 with one message.</summary>
    public const int MaxDescriptors = 250;

    private const int MaxPayload = 4096;
    private const int ControlBytes = 16 + (MaxDescriptors * sizeof(int));

    public int Descriptor { get; private set; } = descriptor;

    /// <summary>The other process has ended, or closed its end.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>A pair; both ends are closed on exec.</summary>
    public static (ProcessChannel Ours, ProcessChannel Theirs) CreatePair()
    {
        int* both = stackalloc int[2];
        return Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC, 0, both) == 0
            ? (new ProcessChannel(both[0]), new ProcessChannel(both[1]))
            : throw SystemCallException.FromErrno("socketpair()", Marshal.GetLastPInvokeError());
    }

    /// <param name="kind">What it means.</param>
    /// <param name="payload">At most 4096 bytes; cut off beyond.</param>
    /// <param name="descriptors">At most <see cref="MaxDescriptors"/>; they stay the caller's, the other side gets copies.</param>
    /// <returns>False if it could not be sent: the other side has gone, or does not read.</returns>
    public bool Send(ChannelMessage kind, ReadOnlySpan<byte> payload = default, ReadOnlySpan<int> descriptors = default)
    {
        payload = payload[..Math.Min(payload.Length, MaxPayload)];
        byte* data = stackalloc byte[1 + payload.Length];
        data[0] = (byte)kind;
        payload.CopyTo(new Span<byte>(data + 1, payload.Length));
        var vector = new IoVector { Start = data, Length = (nuint)(1 + payload.Length) };
        var message = new MessageHeader { Vectors = &vector, VectorCount = 1 };
        byte* control = stackalloc byte[ControlBytes];
        if (!descriptors.IsEmpty)
        {
            var header = (ControlHeader*)control;
            header->Length = (nuint)(sizeof(ControlHeader) + (descriptors.Length * sizeof(int)));
            header->Level = Libc.SOL_SOCKET;
            header->Type = Libc.SCM_RIGHTS;
            descriptors.CopyTo(new Span<int>(control + sizeof(ControlHeader), descriptors.Length));
            message.Control = control;
            message.ControlLength = header->Length;
        }

        return Libc.sendmsg(Descriptor, &message, Libc.MSG_NOSIGNAL | Libc.MSG_DONTWAIT) >= 0;
    }

    /// <summary>The next message.</summary>
    /// <param name="wait">Whether to wait for one.</param>
    /// <returns>Null if there is none; <see cref="IsClosed"/> tells whether there will be.</returns>
    public ReceivedMessage? Receive(bool wait = false)
    {
        byte* data = stackalloc byte[1 + MaxPayload];
        byte* control = stackalloc byte[ControlBytes];
        while (!IsClosed)
        {
            var vector = new IoVector { Start = data, Length = 1 + MaxPayload };
            var message = new MessageHeader { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = ControlBytes };
            nint length = Libc.recvmsg(Descriptor, &message, Libc.MSG_CMSG_CLOEXEC | (wait ? 0 : Libc.MSG_DONTWAIT));
            if (length > 0)
            {
                return new ReceivedMessage(
                    (ChannelMessage)data[0], new ReadOnlySpan<byte>(data + 1, (int)length - 1).ToArray(), DescriptorsOf(message));
            }

            int errno = length < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (errno == Libc.EAGAIN)
            {
                return null;
            }

            // A signal interrupted it, or the other side is gone.
            IsClosed = errno != Libc.EINTR;
        }

        return null;
    }

    public void Dispose()
    {
        if (Descriptor >= 0)
        {
            _ = Libc.close(Descriptor);
            Descriptor = -1;
        }
    }

    private static int[] DescriptorsOf(in MessageHeader message)
    {
        var header = (ControlHeader*)message.Control;
        if (message.ControlLength < (nuint)sizeof(ControlHeader) || header->Level != Libc.SOL_SOCKET || header->Type != Libc.SCM_RIGHTS)
        {
            return [];
        }

        int count = (int)(header->Length - (nuint)sizeof(ControlHeader)) / sizeof(int);
        return new ReadOnlySpan<int>((byte*)header + sizeof(ControlHeader), count).ToArray();
    }
}
