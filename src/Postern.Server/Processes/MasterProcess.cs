using System.Globalization;
using System.Text;
using Postern.Interop;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Listening;
using Postern.Server.Running;

namespace Postern.Server.Processes;

/// <summary>
/// Keeps the privileges and what was opened with them, starts workers and replaces those that die. Reads nothing that comes from
/// outside: a changed configuration is read by a <see cref="LoaderProcess"/>, clients are the worker's. Small, because it lives as
/// long as the service and does nothing most of the time.
/// </summary>
internal sealed class MasterProcess : IDisposable
{
    /// <summary>Time a worker has to end after TERM before it is killed (mail-proxy 1.9).</summary>
    private const long KillAfterMilliseconds = 1500;

    /// <summary>After the start, before the master tidies up: whoever waits for the service comes first.</summary>
    private const long SettleMilliseconds = 100;

    /// <summary>A worker that dies sooner than this is not replaced at once: a fault at start must not become a storm.</summary>
    private const long ShortLifeMilliseconds = 500;

    private readonly ProcessSignals _signals = new();
    private readonly OrderQueue _orders = new();
    private readonly LogFiles _logFiles;
    private readonly bool _isDaemon = Detachment.IsDetached || InheritedSockets.FromUpgrade;
    private readonly BinaryUpgrade _upgrade;
    private readonly Watchdog _watchdog = Watchdog.OfThisProcess();
    private readonly List<ChildWorker> _workers = [];
    private readonly StartMessages _reading;
    private Handover _handover;
    private Dictionary<string, int> _givenLogs = [];
    private ErrorLogSet? _logs;
    private ErrorLog _log = ErrorLog.None;
    private Loader? _loader;
    private bool _reloadAgain;
    private bool _isQuitting;
    private bool _acceptsNobody;
    private bool _isReady;
    private bool _isUnfit;
    private long _killAt = -1;
    private long _startAt = -1;
    private long _settleAt = -1;

    private MasterProcess(Handover handover, StartMessages reading)
    {
        _handover = handover;
        _reading = reading;
        _upgrade = new BinaryUpgrade(Log);
        _logFiles = new LogFiles(path => _givenLogs.Remove(path, out int given) ? given : LogFiles.Open(path));
        OpenLog();
    }

    private bool IsEnding => _isQuitting || _killAt >= 0;

    /// <summary>The worker that takes clients, or null.</summary>
    private ChildWorker? Serving => _workers.LastOrDefault(worker => !worker.IsLeaving);

    /// <summary>Starts the worker and looks after it until the end of the service.</summary>
    /// <param name="handover">What the worker needs; the master's from now on.</param>
    /// <param name="reading">What is said about the configuration, and to whom.</param>
    /// <returns>The exit code; null if there was no first worker because it did not like its configuration, with nothing left behind.</returns>
    public static int? Run(Handover handover, StartMessages reading)
    {
        ServerNaming.TitleProcess("postern: master process ");
        using var master = new MasterProcess(handover, reading);
        return master.Serve();
    }

    public void Dispose()
    {
        _logs?.Dispose();
        _handover.Dispose();
        _signals.Dispose();
        _orders.Dispose();
    }

    private int? Serve()
    {
        Log(LogLevel.Notice, "start worker processes");
        StartWorker();
        while (!_isUnfit && !(IsEnding && _workers.Count == 0))
        {
            int[] channels = [_signals.Descriptor, _loader?.Channel.Descriptor ?? -1, .. _workers.Select(worker => worker.Channel.Descriptor)];
            _orders.WaitAndRun(channels, NextTimeout());
            while (_signals.TryRead(out ReceivedSignal signal))
            {
                Obey(signal);
            }

            HearLoader();
            _workers.ForEach(HearWorker);
            ObeyClock();
        }

        if (_loader is not null)
        {
            // What it would bring nobody needs any more.
            _ = Libc.kill(_loader.Id, Libc.SIGKILL);
            HearLoader(untilItsEnd: true);
            ForgetLoader(_loader);
            _loader.Dispose();
        }

        if (!_upgrade.OthersServe)
        {
            RemoveUnixSockets();
        }

        string pidFile = _upgrade.PidFile(_handover.PidFile);
        if (pidFile.Length > 0 && PidFile.Remove(pidFile) is { } fault)
        {
            Log(LogLevel.Alert, fault);
        }

        if (_isUnfit)
        {
            return null;
        }

        Log(LogLevel.Notice, "exit");
        return 0;
    }

    private void Obey(ReceivedSignal signal)
    {
        string? action = signal.Number switch
        {
            ProcessSignals.Term or ProcessSignals.Int => "exiting",
            ProcessSignals.Quit => "shutting down",
            ProcessSignals.Hup => "reconfiguring",
            ProcessSignals.Usr1 => "reopening logs",
            ProcessSignals.Usr2 => _upgrade.Action,
            ProcessSignals.Winch when _isDaemon => "stop accepting connections",
            _ => null,
        };
        Log(LogLevel.Notice, ProcessSignals.Describe(signal, action));
        switch (signal.Number)
        {
            case ProcessSignals.Child:
                Reap();
                break;
            case ProcessSignals.Term or ProcessSignals.Int:
                TellStopping();
                _killAt = _killAt < 0 ? Environment.TickCount64 + KillAfterMilliseconds : _killAt;
                _workers.ForEach(worker => _ = Libc.kill(worker.Id, Libc.SIGTERM));
                break;
            case ProcessSignals.Quit:
                _isQuitting = true;
                TellStopping();
                _upgrade.StopServing();
                _workers.ForEach(worker => worker.Leave());
                CloseListeners();
                break;
            case ProcessSignals.Hup when !IsEnding:
                Reload();
                break;
            case ProcessSignals.Usr1:
                Reopen();
                break;
            case ProcessSignals.Usr2 when !IsEnding:
                _upgrade.Start(_handover.PidFile, _handover.Sockets);
                break;
            case ProcessSignals.Winch when _isDaemon && !IsEnding:
                _acceptsNobody = true;
                _workers.ForEach(worker => worker.Leave());
                break;
            default:
                break;
        }
    }

    /// <summary>The service goes on if another binary has taken it over.</summary>
    private void TellStopping()
    {
        if (!_upgrade.OthersServe)
        {
            ServiceManager.Stopping();
        }
    }

    private int NextTimeout()
    {
        long next = new[] { _killAt, _startAt, _settleAt, _watchdog.Next }.Where(time => time >= 0).DefaultIfEmpty(-1).Min();
        return OrderQueue.TimeoutUntil(next);
    }

    private void ObeyClock()
    {
        long now = Environment.TickCount64;
        if (_killAt >= 0 && now >= _killAt)
        {
            _workers.ForEach(worker => _ = Libc.kill(worker.Id, Libc.SIGKILL));
            _killAt = now + KillAfterMilliseconds;
        }

        if (_settleAt >= 0 && now >= _settleAt)
        {
            _settleAt = -1;
            Settle();
        }

        if (_startAt >= 0 && now >= _startAt)
        {
            _startAt = -1;
            StartWorker();
        }

        if (_watchdog.IsDue(now))
        {
            AskWorkers();
        }
    }

    /// <summary>The service manager hears that we live when the worker that serves has answered (<see cref="HearWorker"/>).</summary>
    private void AskWorkers()
    {
        foreach (ChildWorker worker in _workers)
        {
            if (worker.Ask() is { } fault)
            {
                Log(LogLevel.Alert, fault);
            }
        }

        if (_acceptsNobody)
        {
            // After WINCH nobody is to be served by this process: that it can say so is enough.
            ServiceManager.Alive();
        }
    }

    private void StartWorker()
    {
        (ProcessChannel ours, ProcessChannel theirs) = ProcessChannel.CreatePair();
        using (theirs)
        {
            ProcessRole role = new(ProcessKind.Worker, theirs.Descriptor, ProcessRole.Current.Executable);
            int id = StartOwn("postern: worker process", role, _handover.Environment);
            if (id < 0)
            {
                ours.Dispose();
                Log(LogLevel.Alert, $"posix_spawn() failed while spawning \"worker process\" ({Errno.Text(-id)})");
                _startAt = Environment.TickCount64 + ShortLifeMilliseconds;
                return;
            }

            Log(LogLevel.Notice, string.Create(CultureInfo.InvariantCulture, $"start worker process {id}"));
            _workers.Add(new ChildWorker(id, ours, Environment.TickCount64, _handover));
            if (!_handover.Send(ours))
            {
                Log(LogLevel.Alert, string.Create(CultureInfo.InvariantCulture, $"worker process {id} cannot be given its configuration"));
            }
        }
    }

    private int StartOwn(string title, ProcessRole role, IEnumerable<string> environment) => new ChildProcess
    {
        StandardError = _isDaemon ? _handover.FindStandardError() : -1,
        Arguments = [title, .. Environment.GetCommandLineArgs().Skip(1)],
        Environment = [.. environment, role.ToVariable()],
        Inherited = [role.Channel],
    }.Start();

    private void Reap()
    {
        while (ChildEnd.Next() is ChildEnd end)
        {
            if (end.Id == _upgrade.Child)
            {
                Report(end, "new binary process");
                if (_upgrade.OnChildEnded(_handover.PidFile))
                {
                    ServiceManager.MainProcessIs(Libc.getpid());
                    ServeAgain();
                }
            }
            else if (end.Id == _loader?.Id)
            {
                HearLoader();
                EndLoad(end);
            }
            else if (_workers.Find(worker => worker.Id == end.Id) is { } worker)
            {
                Report(end, "worker process");
                Replace(worker);
            }
        }
    }

    private void Report(ChildEnd end, string name)
    {
        (LogLevel level, string text) = end.Describe(name);
        Log(level, text);
    }

    private void Replace(ChildWorker worker)
    {
        worker.Channel.Dispose();
        _workers.Remove(worker);
        if (worker.IsLeaving || IsEnding || _acceptsNobody || Serving is not null)
        {
            return;
        }

        if (!_isReady)
        {
            // Another one would fare no better.
            _isUnfit = true;
            return;
        }

        long now = Environment.TickCount64;
        if (now - worker.StartedAt >= ShortLifeMilliseconds)
        {
            StartWorker();
        }
        else
        {
            _startAt = now + ShortLifeMilliseconds;
        }
    }

    /// <summary>After WINCH: the upgrade is taken back.</summary>
    private void ServeAgain()
    {
        if (_acceptsNobody && !IsEnding)
        {
            _acceptsNobody = false;
            Log(LogLevel.Notice, "start worker processes");
            StartWorker();
        }
    }

    private void Reload()
    {
        if (_acceptsNobody)
        {
            ServeAgain();
            return;
        }

        if (_loader is not null)
        {
            // The one that reads now may have read before the last change.
            _reloadAgain = true;
            return;
        }

        Log(LogLevel.Notice, "reconfiguring");
        ServiceManager.Reloading();
        (ProcessChannel ours, ProcessChannel theirs) = ProcessChannel.CreatePair();
        using (theirs)
        {
            ProcessRole role = new(ProcessKind.Loader, theirs.Descriptor, ProcessRole.Current.Executable);
            int id = StartOwn("postern: configuration loader", role, ProcessRole.ForeignEnvironment());
            if (id < 0)
            {
                ours.Dispose();
                Log(LogLevel.Emerg, $"posix_spawn() failed while spawning \"configuration loader\" ({Errno.Text(-id)})");
                ServiceManager.Ready();
                return;
            }

            _ = _handover.Send(ours);
            _loader = new Loader(id, ours);
        }
    }

    /// <param name="untilItsEnd">Whether to wait until it has closed its end.</param>
    private void HearLoader(bool untilItsEnd = false)
    {
        while (_loader?.Inbox.Receive(untilItsEnd, (message, _) => _loader.Hear(message)) is { } next)
        {
            // Not before the loader has ended well: only then is it complete.
            _loader.Result?.Dispose();
            _loader.Result = next;
        }

        if (_loader is not null)
        {
            foreach ((LogLevel level, string text) in _loader.Inbox.TakeLines())
            {
                Log(level, text);
            }
        }
    }

    private void EndLoad(ChildEnd end)
    {
        Loader loader = _loader!;
        _loader = null;
        if (end.Signal != 0)
        {
            Report(end, "configuration loader");
            ForgetLoader(loader);
        }

        if (end is { Signal: 0, ExitCode: 0 } && loader.Result is { } next)
        {
            loader.Result = null;
            Adopt(next);
        }

        loader.Dispose();
        ServiceManager.Ready();
        if (_reloadAgain)
        {
            _reloadAgain = false;
            Reload();
        }
    }

    /// <summary>It was killed, and could not tidy up.</summary>
    private void ForgetLoader(Loader loader) => RemoveFiles(loader.UnixFiles.Except(UnixPaths(_handover)));

    /// <summary>Once; after reloads that is told when they end.</summary>
    private void TellReady()
    {
        if (!_isReady)
        {
            _isReady = true;
            _reading.End();
            if (InheritedSockets.FromUpgrade)
            {
                ServiceManager.MainProcessIs(Libc.getpid());
            }

            ServiceManager.Ready();
            _settleAt = Environment.TickCount64 + SettleMilliseconds;
        }
    }

    /// <summary>Gives back what only the start needed: garbage, and pages of code.</summary>
    private void Settle()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        _ = Libc.malloc_trim(0);

        // What the runtime tidies up after a collection it does on the finalizer's thread, and it would fetch back half of the pages.
        GC.WaitForPendingFinalizers();
        _orders.BeforeWaiting(IdlePages.PrepareAndRelease);
    }

    /// <summary>A new configuration is in force: for the worker, or for a new one if it changes what a worker is.</summary>
    private void Adopt(Handover next)
    {
        if (IsEnding)
        {
            RemoveFiles(UnixPaths(next).Except(UnixPaths(_handover)));
            next.Dispose();
            return;
        }

        if (!_upgrade.OthersServe)
        {
            if (PidFile.Move(_handover.PidFile, next.PidFile) is { } fault)
            {
                Log(LogLevel.Emerg, fault);
                next.Dispose();
                return;
            }

            RemoveFiles(UnixPaths(_handover).Except(UnixPaths(next)));
        }

        Handover old = _handover;
        _handover = next;
        OpenLog();
        if (Serving is not { } worker)
        {
            // It is about to be replaced; the next one gets the new configuration.
        }
        else if (worker.Traits == next.WorkerTraits)
        {
            if (next.Send(worker.Channel))
            {
                worker.LogPaths = next.LogPaths;
            }
            else
            {
                Log(LogLevel.Alert, string.Create(CultureInfo.InvariantCulture, $"worker process {worker.Id} does not take its configuration"));
            }
        }
        else
        {
            worker.IsLeaving = true;
            Log(LogLevel.Notice, "start worker processes");
            StartWorker();
        }

        old.Dispose();
    }

    private void HearWorker(ChildWorker worker)
    {
        while (worker.Channel.Receive() is { } message)
        {
            if (message.Kind == ChannelMessage.WantsReopening)
            {
                Reopen();
            }
            else if (message.Kind == ChannelMessage.Line)
            {
                HearLine((LogLevel)message.Payload[0], Encoding.UTF8.GetString(message.Payload.AsSpan(1)));
            }
            else if (message.Kind == ChannelMessage.Serving)
            {
                Detachment.Complete(_handover.MainLogs);
                TellReady();

                // Whom this one replaces may go: new clients are taken care of.
                _workers.Where(other => other != worker && other.IsLeaving).ToList().ForEach(other => other.Leave());
            }
            else if (message.Kind == ChannelMessage.Alive)
            {
                if (worker.OnAnswer() is { } news)
                {
                    Log(LogLevel.Notice, news);
                }

                // One that is leaving must not hide that the one in charge is stuck.
                if (worker == Serving || IsEnding)
                {
                    ServiceManager.Alive();
                }
            }
        }

        if (worker.Channel.IsClosed)
        {
            // Its end is told by SIGCHLD; until then there is nothing to wait for.
            worker.Channel.Dispose();
        }
    }

    /// <summary>
    /// What a worker has to say about its configuration: of the first one all that has not been said yet, later only what it ended with.
    /// </summary>
    private void HearLine(LogLevel level, string text)
    {
        if (!_isReady)
        {
            _reading.Say(level, text);
        }
        else if (level <= LogLevel.Crit)
        {
            Log(level, text);
        }
    }

    private void Reopen()
    {
        Log(LogLevel.Notice, "reopening logs");
        Dictionary<string, int> opened = new(StringComparer.Ordinal);
        for (int i = 0; i < _handover.LogPaths.Count; i++)
        {
            string path = _handover.LogPaths[i];
            int fresh = LogFiles.Open(path);
            if (fresh < 0)
            {
                Log(LogLevel.Emerg, $"open() \"{path}\" failed ({Errno.Text(-fresh)})");
                fresh = Descriptors.Duplicate(_handover.Logs[i]);
            }

            Descriptors.MoveStandardError(_handover.Logs[i], fresh);
            opened.Add(path, fresh);
        }

        foreach (ChildWorker worker in _workers)
        {
            // One that is leaving may write to files the configuration no longer names: those stay as they are.
            _ = worker.LogPaths.All(opened.ContainsKey)
                && worker.Channel.Send(ChannelMessage.Begin)
                && Handover.SendDescriptors(worker.Channel, ChannelMessage.Logs, [.. worker.LogPaths.Select(path => opened[path])])
                && worker.Channel.Send(ChannelMessage.Reopened);
        }

        _handover.ReplaceLogs([.. opened.Values]);
        OpenLog();
    }

    /// <summary>The master's own log, on copies of the files it keeps for its workers.</summary>
    private void OpenLog()
    {
        _givenLogs = _handover.LogPaths.Zip(_handover.Logs, (path, descriptor) => (path, descriptor: Descriptors.Duplicate(descriptor)))
            .Where(log => log.descriptor >= 0)
            .ToDictionary(log => log.path, log => log.descriptor, StringComparer.Ordinal);
        var logs = new ErrorLogSet(TimeProvider.System, _logFiles);

        // A buffer in memory is the worker's.
        if (logs.TryOpen([.. _handover.MainLogs.Where(target => target.Kind != ErrorLogTargetKind.Memory)], out ErrorLog? log, out _))
        {
            logs.Commit();
            _logs?.Dispose();
            (_logs, _log) = (logs, log);
        }
        else
        {
            logs.Dispose();
        }

        foreach (int unused in _givenLogs.Values)
        {
            _ = Libc.close(unused);
        }

        _givenLogs.Clear();
    }

    private void CloseListeners()
    {
        if (!_upgrade.OthersServe)
        {
            RemoveUnixSockets();
        }

        _handover.CloseSockets();
    }

    private void RemoveUnixSockets() => RemoveFiles(UnixPaths(_handover));

    private static IEnumerable<string> UnixPaths(Handover handover) => handover.Sockets
        .Select(socket => ListeningSocket.AddressOf(socket)?.UnixPath ?? "")
        .Where(path => path.Length > 0)
        .Distinct();

    private static void RemoveFiles(IEnumerable<string> paths)
    {
        foreach (string path in paths)
        {
            // It may be gone already; there is nothing else to do about it.
            _ = Libc.unlink(path);
        }
    }

    private void Log(LogLevel level, string message)
    {
        if (_log.IsEnabled(level))
        {
            _log.Write(level, Encoding.UTF8.GetBytes(message));
        }
    }

    /// <summary>A worker, from the master's side.</summary>
    private sealed class ChildWorker(int id, ProcessChannel channel, long startedAt, Handover handover)
    {
        private bool _told;
        private int _questions;
        private bool _isSilent;

        public int Id => id;

        public ProcessChannel Channel => channel;

        public long StartedAt => startedAt;

        public string Traits { get; } = handover.WorkerTraits;

        /// <summary>The log files it has, in the order in which it knows them.</summary>
        public IReadOnlyList<string> LogPaths { get; set; } = handover.LogPaths;

        /// <summary>It shall end, or will once the next one serves: it is not replaced.</summary>
        public bool IsLeaving { get; set; }

        /// <summary>Asks whether its loops turn; not a third time before it has answered, lest the channel fill up.</summary>
        /// <returns>What the log should know: the question before is unanswered. Said once.</returns>
        public string? Ask()
        {
            bool isNews = _questions > 0 && !_isSilent;
            _isSilent |= isNews;
            if (_questions < 2 && channel.Send(ChannelMessage.AreYouAlive))
            {
                _questions++;
            }

            return isNews ? string.Create(CultureInfo.InvariantCulture, $"worker process {id} does not answer") : null;
        }

        /// <summary>It has answered.</summary>
        /// <returns>What the log should know: it had not for a while.</returns>
        public string? OnAnswer()
        {
            bool isNews = _isSilent;
            _isSilent = false;
            _questions = 0;
            return isNews ? string.Create(CultureInfo.InvariantCulture, $"worker process {id} answers again") : null;
        }

        /// <summary>Has it end with its last session.</summary>
        public void Leave()
        {
            IsLeaving = true;
            if (!_told)
            {
                _told = true;

                // One that does not read its channel may still hear a signal.
                if (!channel.Send(ChannelMessage.Quit))
                {
                    _ = Libc.kill(id, Libc.SIGQUIT);
                }
            }
        }
    }

    /// <summary>The process that reads a changed configuration.</summary>
    private sealed class Loader(int id, ProcessChannel channel) : IDisposable
    {
        public int Id => id;

        public ProcessChannel Channel => channel;

        public HandoverInbox Inbox { get; } = new(channel);

        public Handover? Result { get; set; }

        /// <summary>Files of unix sockets it has made.</summary>
        public List<string> UnixFiles { get; } = [];

        public void Hear(ReceivedMessage message)
        {
            if (message.Kind == ChannelMessage.UnixFile)
            {
                UnixFiles.Add(Encoding.UTF8.GetString(message.Payload));
            }
        }

        public void Dispose()
        {
            Result?.Dispose();
            Inbox.Dispose();
        }
    }
}
