using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Postern.Bench;

/// <summary>Where the clients of a run connect to, and how.</summary>
/// <param name="Port">Of the proxy, at 127.0.0.1.</param>
/// <param name="Tls">Null = clear text.</param>
internal sealed record LoadTarget(int Port, TlsClientContext? Tls);

/// <summary>A session did not do what it should: the run has no result.</summary>
internal sealed class LoadFailedException : Exception
{
    public LoadFailedException()
    {
    }

    public LoadFailedException(string message)
        : base(message)
    {
    }

    public LoadFailedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}

/// <summary>The clients: one thread, one epoll instance, any number of IMAP sessions.</summary>
internal sealed unsafe class LoadGenerator : IDisposable
{
    public const int BufferBytes = 256 * 1024;

    /// <summary>Clients that connect at once when sessions are opened to be held.</summary>
    private const int OpeningAtOnce = 64;

    private const int MaxEvents = 256;
    private const long PatienceMilliseconds = 20_000;

    private readonly byte* _events = (byte*)NativeMemory.Alloc(MaxEvents * 16);
    private readonly List<LoadClient> _held = [];
    private readonly Stack<LoadClient> _spare = new();
    private readonly int _epoll = Native.NewEpoll();
    private LoadClient[] _clients = new LoadClient[1024];
    private int _clientCount;

    /// <summary>Where reads go; nothing in it outlives a step of a client.</summary>
    public byte* Buffer { get; } = (byte*)NativeMemory.AlignedAlloc(BufferBytes, 4096);

    /// <summary>Connects once and waits for the greeting.</summary>
    /// <returns>False if nobody listens, or nobody greets.</returns>
    public bool TryGreeting(LoadTarget target)
    {
        int fd = Native.Check(Native.socket(Native.AF_INET, Native.SOCK_STREAM | Native.SOCK_CLOEXEC, 0), "socket()");
        byte* address = stackalloc byte[16];
        Native.WriteAddress(address, target.Port);
        bool greeted = Native.connect(fd, address, 16) == 0 && Native.recv(fd, Buffer, BufferBytes, 0) > 0;
        _ = Native.close(fd);
        return greeted;
    }

    /// <summary>Logs in and out again, a number of sessions in all, some of them at a time.</summary>
    /// <returns>Nanoseconds from connect(2) to the tagged OK, one per session.</returns>
    public long[] LogInAndOut(LoadTarget target, int sessions, int atOnce)
    {
        long[] latencies = new long[sessions];
        int started = 0;
        int ended = 0;
        for (; started < Math.Min(sessions, atOnce); started++)
        {
            Start(target, LoadTask.LogInAndOut);
        }

        Drive(() => ended == sessions, client =>
        {
            latencies[ended++] = client.LoginNanoseconds;
            Recycle(client);
            if (started < sessions)
            {
                started++;
                Start(target, LoadTask.LogInAndOut);
            }
        });
        return latencies;
    }

    /// <summary>Opens sessions and keeps them, joined and idle, for what comes next.</summary>
    public void Hold(LoadTarget target, int sessions)
    {
        int started = 0;
        int ended = 0;
        for (; started < Math.Min(sessions, OpeningAtOnce); started++)
        {
            Start(target, LoadTask.LogInAndStay);
        }

        Drive(() => ended == sessions, client =>
        {
            ended++;
            _held.Add(client);
            if (started < sessions)
            {
                started++;
                Start(target, LoadTask.LogInAndStay);
            }
        });
    }

    /// <summary>NOOP and its answer, in all held sessions at once, each of them as often.</summary>
    public void RoundTrips(int each) => RunHeld(client => client.BeginRoundTrips(each));

    /// <summary>The backend sends each held session so many bytes.</summary>
    public void Stream(long bytesEach) => RunHeld(client => client.BeginStream(bytesEach));

    /// <summary>Each held session sends the backend so many bytes.</summary>
    public void Sink(long bytesEach) => RunHeld(client => client.BeginSink(bytesEach));

    /// <summary>Logs the held sessions out.</summary>
    public void LogOutHeld()
    {
        RunHeld(client => client.BeginLogOut());
        _held.ForEach(Recycle);
        _held.Clear();
    }

    /// <summary>Drops every session there is, after a failed run.</summary>
    public void Abandon()
    {
        for (int i = 0; i < _clientCount; i++)
        {
            _clients[i].Abandon();
        }

        _held.Clear();
        _spare.Clear();
        _clientCount = 0;
    }

    public void Dispose()
    {
        Abandon();
        NativeMemory.Free(_events);
        NativeMemory.AlignedFree(Buffer);
        _ = Native.close(_epoll);
    }

    private void RunHeld(Action<LoadClient> begin)
    {
        int ended = 0;
        _held.ForEach(begin);
        Drive(() => ended == _held.Count, _ => ended++);
    }

    private void Start(LoadTarget target, LoadTask task)
    {
        if (!_spare.TryPop(out LoadClient? client))
        {
            client = new LoadClient(this, _clientCount);
            if (_clientCount == _clients.Length)
            {
                Array.Resize(ref _clients, _clientCount * 2);
            }

            _clients[_clientCount++] = client;
        }

        client.Connect(target, task, _epoll);
    }

    private void Recycle(LoadClient client) => _spare.Push(client);

    private void Drive(Func<bool> done, Action<LoadClient> onFinished)
    {
        long lastEvent = Stopwatch.GetTimestamp();
        while (!done())
        {
            int count = Native.epoll_wait(_epoll, _events, MaxEvents, 1000);
            if (count > 0)
            {
                lastEvent = Stopwatch.GetTimestamp();
            }
            else if (Stopwatch.GetElapsedTime(lastEvent).TotalMilliseconds > PatienceMilliseconds)
            {
                throw new LoadFailedException("nothing happened for 20 seconds");
            }

            for (int i = 0; i < count; i++)
            {
                LoadClient client = _clients[Native.EventData(_events, i)];
                if (client.OnEvent())
                {
                    onFinished(client);
                }
            }
        }
    }
}
