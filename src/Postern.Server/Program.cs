using Postern.Server;

StandardStreams streams = StandardStreams.OfProcess();
return new PosternCommand(new UnfinishedRunner(streams), _ => UnfinishedRunner.NoDemo(streams), () => "OpenSSL", streams).Execute(args);
