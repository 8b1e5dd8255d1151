using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Postern.Bench;

/// <summary>Where the clients of a run connect to, and how.</summary>
/// <param name="Port">Of the proxy, at 127.0.0.1.</param>
/// <param name="Tls">Null = clear text.</param>
/// <param name="Dialogue">Protocol spoken.</param>
internal sealed record LoadTarget(int Port, TlsClientContext? Tls, Dialogue Dialogue)
{
    /// <summary>Clients bind 127.0.1.n; 0 = the system chooses.</summary>
    public int SourceHost { get; init; }
}

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

/// <summary>The clients: one thread, one epoll instance, any number of sessions.</summary>
internal sealed unsafe class LoadGenerator : IDisposable
{
    public const int BufferBytes = 256 * 1024;

    /// <summary>Clients that connect at once when sessions are opened to be held.</summary>
    private const int OpeningAtOnce = 64;

    /// <summary>One TLS record's worth of message.</summary>
    private const int MessageBufferBytes = 16 * 1024;

    private const int MaxEvents = 256;
    private const long PatienceMilliseconds = 20_000;

    private readonly byte* _events = (byte*)NativeMemory.Alloc(MaxEvents * 16);
    private readonly List<LoadClient> _held = [];
    private readonly Stack<LoadClient> _spare = new();
    private readonly int _epoll = Native.NewEpoll();
    private LoadClient[] _clients = new LoadClient[1024];
    private int _clientCount;

    public LoadGenerator()
    {
        Message = (byte*)NativeMemory.AlignedAlloc(MessageBufferBytes, 4096);
        MessageBytes = Dialogue.FillWithLines(new Span<byte>(Message, MessageBufferBytes));
    }

    /// <summary>Hears of clients that failed; null = the first failure ends the run.</summary>
    public Action<LoadClient, LoadFailedException>? OnFailed { get; set; }

    /// <summary>Sessions that are open to stay.</summary>
    public int HeldCount => _held.Count;

    /// <summary>Where reads go; nothing in it outlives a step of a client.</summary>
    public byte* Buffer { get; } = (byte*)NativeMemory.AlignedAlloc(BufferBytes, 4096);

    /// <summary>Whole lines of a message, sent again and again.</summary>
    public byte* Message { get; }

    public int MessageBytes { get; }

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

    /// <summary>Waits until the proxy accepts and has greeted one client.</summary>
    /// <param name="target">In clear text.</param>
    /// <param name="name">Of the proxy.</param>
    public void AwaitGreeting(LoadTarget target, string name)
    {
        const int Tries = 20_000;
        for (int i = 0; i < Tries; i++)
        {
            if (TryGreeting(target))
            {
                return;
            }

            Pause(1);
        }

        throw new LoadFailedException($"{name} does not accept clients");
    }

    public static void Pause(int milliseconds)
    {
        using var never = new ManualResetEventSlim();
        never.Wait(milliseconds);
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
    /// <param name="target">Where to.</param>
    /// <param name="sessions">How many.</param>
    /// <param name="sourceHosts">Clients take turns on so many local addresses; 0 = the system chooses.</param>
    public void Hold(LoadTarget target, int sessions, int sourceHosts = 0)
    {
        LoadTarget From(int number) => sourceHosts == 0 ? target : target with { SourceHost = 1 + (number % sourceHosts) };
        int started = 0;
        int ended = 0;
        for (; started < Math.Min(sessions, OpeningAtOnce); started++)
        {
            Start(From(started), LoadTask.LogInAndStay);
        }

        Drive(() => ended == sessions, client =>
        {
            ended++;
            _held.Add(client);
            if (started < sessions)
            {
                Start(From(started++), LoadTask.LogInAndStay);
            }
        });
    }

    /// <summary>NOOP and its answer, in all held sessions at once, each of them as often.</summary>
    public void RoundTrips(int each) => RunHeld(client => client.BeginRoundTrips(each));

    /// <summary>The backend sends each held session so many bytes.</summary>
    public void Stream(long bytesEach) => RunHeld(client => client.BeginStream(bytesEach));

    /// <summary>Each held session sends the backend so many bytes.</summary>
    public void Sink(long bytesEach) => RunHeld(client => client.BeginSink(bytesEach));

    /// <summary>Each held session (SMTP) sends one message of so many bytes.</summary>
    public void Upload(long bytesEach) => RunHeld(client => client.BeginMessage(bytesEach));

    /// <summary>
    /// Logs in and out at a steady rate, whatever the answers take: a login that is late is timed from when it was due.
    /// </summary>
    /// <param name="target">Where to.</param>
    /// <param name="sourceHosts">As in <see cref="Hold"/>.</param>
    /// <param name="rate">Logins per second.</param>
    /// <param name="duration">How long new ones begin.</param>
    /// <param name="latencies">Nanoseconds of each login that ended, in order of their ends.</param>
    /// <returns>Logins that did not end within <see cref="PatienceMilliseconds"/> of the last one's beginning.</returns>
    public int LogInSteadily(LoadTarget target, int sourceHosts, int rate, TimeSpan duration, List<long> latencies)
    {
        long start = Stopwatch.GetTimestamp();
        long total = (long)(duration.TotalSeconds * rate);
        long started = 0;
        int open = 0;
        void OnEnded(LoadClient client)
        {
            open--;
            latencies.Add(client.LoginNanoseconds);
            Recycle(client);
        }

        Action<LoadClient, LoadFailedException>? onFailed = OnFailed;
        OnFailed = (client, failure) =>
        {
            open -= client.IsHeld ? 0 : 1;
            onFailed!(client, failure);
        };
        while (started < total)
        {
            long due = start + (started * Stopwatch.Frequency / rate);
            long now = Stopwatch.GetTimestamp();
            if (due <= now)
            {
                LoadTarget from = target with { SourceHost = 1 + (int)(started++ % sourceHosts) };
                open++;
                Take().Connect(from, LoadTask.LogInAndOut, _epoll, due);
                continue;
            }

            _ = Turn((int)Math.Clamp((due - now) * 1000 / Stopwatch.Frequency, 1, 1000), OnEnded);
        }

        long end = Stopwatch.GetTimestamp();
        while (open > 0 && Stopwatch.GetElapsedTime(end).TotalMilliseconds < PatienceMilliseconds)
        {
            _ = Turn(100, OnEnded);
        }

        OnFailed = onFailed;
        return open;
    }

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
        NativeMemory.AlignedFree(Message);
        _ = Native.close(_epoll);
    }

    private void RunHeld(Action<LoadClient> begin)
    {
        int ended = 0;
        _held.ForEach(begin);
        Drive(() => ended == _held.Count, _ => ended++);
    }

    private void Start(LoadTarget target, LoadTask task) => Take().Connect(target, task, _epoll);

    private LoadClient Take()
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

        return client;
    }

    private void Recycle(LoadClient client) => _spare.Push(client);

    private void Drive(Func<bool> done, Action<LoadClient> onFinished)
    {
        long lastEvent = Stopwatch.GetTimestamp();
        while (!done())
        {
            if (Turn(1000, onFinished) > 0)
            {
                lastEvent = Stopwatch.GetTimestamp();
            }
            else if (Stopwatch.GetElapsedTime(lastEvent).TotalMilliseconds > PatienceMilliseconds)
            {
                throw new LoadFailedException("nothing happened for 20 seconds");
            }
        }
    }

    /// <summary>Waits for events and moves the clients they are for.</summary>
    /// <returns>Number of events.</returns>
    private int Turn(int timeoutMilliseconds, Action<LoadClient> onFinished)
    {
        int count = Native.epoll_wait(_epoll, _events, MaxEvents, timeoutMilliseconds);
        for (int i = 0; i < count; i++)
        {
            LoadClient client = _clients[Native.EventData(_events, i)];
            bool finished;
            try
            {
                finished = client.OnEvent();
            }
            catch (LoadFailedException failure) when (OnFailed is not null)
            {
                client.Abandon();
                _ = _held.Remove(client);
                OnFailed(client, failure);
                continue;
            }

            if (finished)
            {
                onFinished(client);
            }
        }

        return count;
    }
}
