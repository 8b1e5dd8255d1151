using Postern.Interop;
using Postern.Server;
using Postern.Server.Running;

StandardStreams streams = StandardStreams.OfProcess();
using PosternServer server = new(streams);
return new PosternCommand(server, _ => 1, () => OpenSsl.VersionText, streams).Execute(args);
