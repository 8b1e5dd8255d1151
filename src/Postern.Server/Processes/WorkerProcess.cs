using System.Globalization;
using System.Text;
using Postern.Config;
using Postern.Interop;
using Postern.Logging;
using Postern.Net;
using Postern.Server.Configuration;
using Postern.Server.Running;

namespace Postern.Server.Processes;

/// <summary>
/// Serves what the master hands over, without privileges. When the master is gone it ends with its last session.
/// </summary>
internal sealed class WorkerProcess : IDisposable
{
    /// <summary>Exit code of a worker that cannot work; the log says why.</summary>
    private const int Unfit = 2;

    private readonly HandoverInbox _inbox = new(ProcessRole.Current.Channel);
    private readonly ProcessSignals _signals = new();
    private readonly OrderQueue _orders = new();
    private readonly LogFiles _logFiles;
    private readonly Service _service;
    private readonly CommandLine _commandLine;
    private Dictionary<string, int> _givenLogs = [];
    private IReadOnlyList<string> _logPaths = [];
    private ErrorLog _log = ErrorLog.None;

    private WorkerProcess(CommandLine commandLine)
    {
        _commandLine = commandLine;
        _logFiles = new LogFiles(path => _givenLogs.TryGetValue(path, out int given) ? Descriptors.Duplicate(given) : -Libc.ENOENT);
        _service = new Service(_orders, new ListeningSockets { KeepFiles = true });
    }

    /// <param name="arguments">The master's.</param>
    /// <returns>The exit code.</returns>
    public static int Run(IReadOnlyList<string> arguments)
    {
        ServerNaming.NameProcess();
        using var worker = new WorkerProcess(CommandLine.Parse(arguments, out _) ?? new CommandLine());
        return worker._inbox.Receive(wait: true) is Handover first ? worker.Serve(first) : Unfit;
    }

    public void Dispose()
    {
        _service.Dispose();
        _inbox.Dispose();
        _signals.Dispose();
        _orders.Dispose();
    }

    private int Serve(Handover first)
    {
        TakeLogs(first);
        var ownLogs = new ErrorLogSet(TimeProvider.System, _logFiles);
        if (ownLogs.TryOpen(first.MainLogs, out ErrorLog? log, out _))
        {
            _log = log;
        }

        // Before a byte of the configuration is read: no fault in what follows can cost more than this worker.
        first.Limits.Raise(Alert);
        IdlePages.Prepare();
        if (WorkerUser.Become(first.User, first.UserId, first.GroupId) is { } fault)
        {
            Log(LogLevel.Emerg, fault);
            return Unfit;
        }

        if (!first.Limits.EnterDirectory(Alert) || Build(first) is not { } generation)
        {
            return Unfit;
        }

        using var writer = LogWriter.Start();

        // It reads files when it is first used, which belongs to starting.
        _ = LinuxSystemCalls.Instance;
        IdlePages.Release();
        _service.Start(generation);
        _ = _inbox.Channel.Send(ChannelMessage.Serving);
        while (_service.IsRunning)
        {
            _orders.WaitAndRun(
                [_signals.Descriptor, _inbox.Channel.IsClosed ? -1 : _inbox.Channel.Descriptor], OrderQueue.TimeoutUntil(_service.Next));
            while (_signals.TryRead(out ReceivedSignal signal))
            {
                Obey(signal);
            }

            Hear();
            _service.ObeyClock();
        }

        if (_service.IsQuitting)
        {
            Log(LogLevel.Notice, "exiting");
        }

        Log(LogLevel.Notice, "exit");
        return _service.Status;
    }

    private void Obey(ReceivedSignal signal)
    {
        string? action = signal.Number switch
        {
            ProcessSignals.Term or ProcessSignals.Int => "exiting",
            ProcessSignals.Quit or ProcessSignals.Winch => "shutting down",
            ProcessSignals.Usr1 => "reopening logs",
            ProcessSignals.Hup or ProcessSignals.Usr2 => "ignoring",
            _ => null,
        };
        Log(LogLevel.Notice, ProcessSignals.Describe(signal, action));
        switch (signal.Number)
        {
            case ProcessSignals.Term or ProcessSignals.Int:
                _service.Stop();
                break;
            case ProcessSignals.Quit or ProcessSignals.Winch:
                _service.Quit();
                break;
            case ProcessSignals.Usr1:
                // It has no right to open them: the master does it, for everybody.
                _ = _inbox.Channel.Send(ChannelMessage.WantsReopening);
                break;
            default:
                break;
        }
    }

    private void Hear()
    {
        while (_inbox.Receive(other: Obey) is { } next)
        {
            if (!_service.IsQuitting)
            {
                TakeLogs(next);
                if (Build(next) is { } generation)
                {
                    _service.Replace(generation);
                    _ = _inbox.Channel.Send(ChannelMessage.Serving);
                }
            }

            next.Dispose();
        }

        if (_inbox.Channel.IsClosed && !_service.IsQuitting)
        {
            Log(LogLevel.Alert, "the master process is gone");
            _service.Quit();
        }
    }

    private void Obey(ReceivedMessage message, IReadOnlyList<int> logs)
    {
        switch (message.Kind)
        {
            case ChannelMessage.Quit:
                _service.Quit();
                break;
            case ChannelMessage.AreYouAlive:
                _service.AskLoops(() => _ = _inbox.Channel.Send(ChannelMessage.Alive));
                break;
            case ChannelMessage.Reopened:
                Log(LogLevel.Notice, "reopening logs");
                foreach ((string path, int fresh) in _logPaths.Zip(logs))
                {
                    Descriptors.MoveStandardError(_givenLogs[path], fresh);
                }

                Give(_logPaths.Zip(logs));
                foreach (string fault in _logFiles.Reopen())
                {
                    // What only old sessions still log to is not the master's to open any more; it stays as it is.
                    Log(LogLevel.Debug, fault);
                }

                break;
            default:
                break;
        }
    }

    private void TakeLogs(Handover handover)
    {
        _logPaths = handover.LogPaths;
        Give(handover.TakeLogs().Select(log => (log.Key, log.Value)));
    }

    /// <summary>The files the worker may open, until it gets others.</summary>
    private void Give(IEnumerable<(string Path, int Descriptor)> logs)
    {
        foreach (int old in _givenLogs.Values)
        {
            _ = Libc.close(old);
        }

        _givenLogs = logs.ToDictionary(log => log.Path, log => log.Descriptor, StringComparer.Ordinal);
    }

    /// <summary>Brings the configuration to life, its sockets included.</summary>
    /// <returns>Null if that is impossible; the log says why.</returns>
    private Generation? Build(Handover handover)
    {
        using RecordedFiles files = handover.OpenFiles();
        ConfigFiles.Current = files;
        ConfigurationResult result;
        try
        {
            result = ConfigurationLoader.Load(_commandLine.ToSource());
        }
        finally
        {
            ConfigFiles.Current = DiskFiles.Instance;
        }

        List<ConfigMessage> messages = [.. result.AllMessages];
        List<ConfigMessage> faults = [];
        _service.Sockets.Inherit(handover.TakeSockets());
        if (result.Settings is { } settings
            && Generation.TryBuild(settings, _logFiles, null, out faults) is { } generation
            && _service.Sockets.TryOpen(generation.Plans, _service.LoopsFor(settings), Log, out _))
        {
            Say(messages);
            return generation;
        }

        if (result.Settings is null)
        {
            faults.Add(new ConfigMessage(
                ConfigSeverity.Emerg,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the worker process cannot use the configuration that was right for the superuser: keys in engines and stores, and files named by \"ssl_conf_command\", it opens itself, as user {handover.UserId} (\"{handover.User}\"), which must be allowed to"),
                ConfigPosition.None));
        }

        Say([.. messages, .. faults]);
        return null;
    }

    /// <summary>The master logs it, as far as others have not said it.</summary>
    private void Say(IEnumerable<ConfigMessage> messages)
    {
        if (!_service.IsStarted)
        {
            foreach (ConfigMessage message in messages)
            {
                _ = _inbox.Channel.Send(ChannelMessage.Line, [(byte)ConfigLog.LevelOf(message), .. Encoding.UTF8.GetBytes(ConfigLog.TextOf(message))]);
            }

            return;
        }

        foreach (ConfigMessage fault in messages.Where(message => message.IsError))
        {
            Log(LogLevel.Emerg, ConfigLog.TextOf(fault));
        }
    }

    private void Alert(string message) => Log(LogLevel.Alert, message);

    private void Log(LogLevel level, string message)
    {
        ErrorLog log = _service.IsStarted ? _service.Generation.Log : _log;
        if (log.IsEnabled(level))
        {
            log.Write(level, Encoding.UTF8.GetBytes(message));
        }
    }
}
