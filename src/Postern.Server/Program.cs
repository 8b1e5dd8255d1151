using Postern.Config;
using Postern.Interop;
using Postern.Server;
using Postern.Server.Demonstration;
using Postern.Server.Processes;
using Postern.Server.Running;

ProcessSignals.Block();
switch (ProcessRole.Current.Kind)
{
    case ProcessKind.Worker:
        return WorkerProcess.Run(args);
    case ProcessKind.Loader:
        return LoaderProcess.Run(args);
    case ProcessKind.Command:
    default:
        break;
}

StandardStreams streams = StandardStreams.OfProcess();
PosternServer server = new(streams);

// It may become the master of a worker that reads the same configuration, or start itself again, detached.
ConfigFiles.Current = server.Recorded;

// Whoever started the detached process has printed warnings already.
return new PosternCommand(server, _ => DemoCommand.Run(streams), () => OpenSsl.VersionText, streams) { ErrorsOnly = Detachment.IsDetached }.Execute(args);
