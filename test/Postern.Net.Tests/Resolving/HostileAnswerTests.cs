using System.Net;
using System.Net.Sockets;
using Postern.Net.Resolving;
using Postern.Net.Tests.Scripted;
using Postern.TestKit.Hostile;
using Xunit;
using Wait = Postern.TestKit.Deadline;

namespace Postern.Net.Tests.Resolving;

/// <summary>N-09: answers no honest name server sends. Each lookup ends without a name, soon, and without a fault.</summary>
public sealed class HostileAnswerTests : IDisposable
{
    private readonly ScriptedLoop _script = new();

    public void Dispose() => _script.Dispose();

    [Fact]
    public async Task Resolve_HostileAnswers_NoNameInBoundedTime()
    {
        using var stop = new CancellationTokenSource();
        List<Socket> sockets = [];
        List<Task> servers = [];
        Dictionary<string, string> names = [];
        try
        {
            foreach ((string what, Func<byte[], byte[]> answer) in HostileAnswers.Cases)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
                sockets.Add(socket);
                socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                servers.Add(HostileAnswers.ServeAsync(socket, answer, stop.Token));
                var settings = new ResolverSettings
                {
                    Servers = [EndpointAddress.FromIP(IPAddress.Loopback, ((IPEndPoint)socket.LocalEndPoint!).Port)],
                    Timeout = TimeSpan.FromSeconds(1),
                };
                _ = ResolveAsync(new ClientNameResolver(settings), what, names);
            }

            await Wait.UntilAsync(
                () =>
                {
                    _script.Settle();
                    return names.Count == HostileAnswers.Cases.Count;
                },
                () => "no end of: " + string.Join(", ", HostileAnswers.Cases.Select(one => one.What).Except(names.Keys)));
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(servers);
            sockets.ForEach(socket => socket.Dispose());
        }

        Assert.DoesNotContain(names, name => name.Value is not (ClientName.Unavailable or ClientName.TemporarilyUnavailable));
    }

    private async Task ResolveAsync(ClientNameResolver resolver, string what, Dictionary<string, string> names)
    {
        (Connection connection, _) = _script.Accept();
        string text;
        try
        {
            text = (await resolver.Resolve(EndpointAddress.TryParseIP("192.0.2.1", 0)!, connection)).Text;
        }
#pragma warning disable CA1031 // a fault is what the test looks for
        catch (Exception e)
#pragma warning restore CA1031
        {
            text = e.ToString();
        }

        names[what] = text;
    }
}
