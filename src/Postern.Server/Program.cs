using Postern.Interop;
using Postern.Server;
using Postern.Server.Demonstration;
using Postern.Server.Running;

StandardStreams streams = StandardStreams.OfProcess();
using PosternServer server = new(streams);
return new PosternCommand(server, _ => DemoCommand.Run(streams), () => OpenSsl.VersionText, streams).Execute(args);
