using Postern.Config;

namespace Postern.Server;

/// <summary>Stands where the server will: tests what can be tested without opening anything, serves nobody.</summary>
internal sealed class UnfinishedRunner(StandardStreams streams) : IServerRunner
{
    public static int NoDemo(StandardStreams streams) => Refuse(streams, "the demo is not built yet");

    public int Run(MainSettings settings, IReadOnlyList<ConfigMessage> messages, CommandLine commandLine) =>
        Refuse(streams, "serving is not built yet");

    public IReadOnlyList<ConfigMessage> Test(MainSettings settings, CommandLine commandLine) => [];

    private static int Refuse(StandardStreams streams, string what)
    {
        streams.Error($"nginx: [emerg] {what}");
        return 1;
    }
}
