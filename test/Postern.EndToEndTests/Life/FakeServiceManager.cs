using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Postern.TestKit;

namespace Postern.EndToEndTests.Life;

/// <summary>The socket a service manager listens to (sd_notify(3)).</summary>
internal sealed class FakeServiceManager : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);

    public FakeServiceManager()
    {
        _socket.Bind(new UnixDomainSocketEndPoint(_folder.File("notify")));
    }

    /// <summary>The variables a service is started with.</summary>
    /// <param name="watchdog">How long it may be silent; null = for ever.</param>
    public IReadOnlyDictionary<string, string> Environment(TimeSpan? watchdog = null)
    {
        Dictionary<string, string> variables = new() { ["NOTIFY_SOCKET"] = _folder.File("notify") };
        if (watchdog is { } interval)
        {
            variables.Add("WATCHDOG_USEC", interval.TotalMicroseconds.ToString(CultureInfo.InvariantCulture));
        }

        return variables;
    }

    /// <summary>The next message that is none of the watchdog's begins so; with <c>WATCHDOG=1</c>, the watchdog's next, whatever comes before it.</summary>
    public async Task HearAsync(string beginning)
    {
        string message;
        do
        {
            message = await TryHearAsync(TimeSpan.FromSeconds(20)) ?? throw new TimeoutException($"the service does not say \"{beginning}\"");
        }
        while (!message.StartsWith(beginning, StringComparison.Ordinal) && (beginning == "WATCHDOG=1" || message == "WATCHDOG=1"));

        if (!message.StartsWith(beginning, StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"the service says \"{message}\" instead of \"{beginning}\"");
        }
    }

    /// <returns>Null if nothing comes in that time.</returns>
    public async Task<string?> TryHearAsync(TimeSpan limit)
    {
        using var stop = new CancellationTokenSource(limit);
        byte[] datagram = new byte[512];
        try
        {
            return Encoding.ASCII.GetString(datagram, 0, await _socket.ReceiveAsync(datagram, stop.Token));
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>What has come so far is of no interest.</summary>
    public void Forget()
    {
        while (_socket.Available > 0)
        {
            _ = _socket.Receive(new byte[512]);
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        _folder.Dispose();
    }
}
