using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.EndToEndTests;
using Postern.EndToEndTests.Life;
using Postern.TestKit;

namespace Postern.Soak;

/// <summary>Actors that log in, idle, move bulk, fail, misbehave and administrate, all at once, until the time is over.</summary>
internal sealed class SoakRun(int seed)
{
    private const int Idlers = 40;
    private const int Newcomers = 3;

    /// <summary>What caches and pools may take after the warm-up, in KB. A leak of one session in a hundred would be far more in an hour.</summary>
    private const long AllowedGrowthKilobytes = 12 * 1024;

    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    private readonly SoakReport _report = new();

    public async Task<bool> RunAsync(TimeSpan time)
    {
        using var faults = new FaultyServers();
        await using EchoBackends backends = new(faults.Judge);
        await using MailService service = await MailService.StartAsync(backends);
        int worker = MailService.WorkersOf(service.Master).Single();
        int descriptorsBefore = await SettledDescriptorsAsync(worker, int.MaxValue);
        using var stop = new CancellationTokenSource(time);

        List<Task> actors = [];
        for (int i = 0; i < Idlers; i++)
        {
            actors.Add(ActAsync("idler", i, random => IdleAsync(service, random, stop.Token), stop.Token));
        }

        for (int i = 0; i < Newcomers; i++)
        {
            actors.Add(ActAsync("newcomer", 1000 + i, random => ComeAndGoAsync(service, random, stop.Token), stop.Token));
        }

        actors.Add(ActAsync("bulk", 2000, random => MoveBulkAsync(service, random, stop.Token), stop.Token));
        actors.Add(ActAsync("fault", 3000, random => FailAsync(service, random), stop.Token));
        actors.Add(ActAsync("vandal", 4000, random => MisbehaveAsync(service, random), stop.Token));
        actors.Add(ActAsync("administrator", 5000, random => AdministrateAsync(service, random, stop.Token), stop.Token));
        await WatchAsync(worker, time, stop.Token);
        await Task.WhenAll(actors);
        await CheckEndAsync(service, worker, descriptorsBefore);
        Console.WriteLine($"soak: {_report}");
        Console.WriteLine(_report.IsClean ? "soak: clean" : string.Create(CultureInfo.InvariantCulture, $"soak: not clean, seed {seed}"));
        return _report.IsClean;
    }

    /// <summary>One actor's life: the same thing again and again, with pauses; whatever it does not expect is an error.</summary>
    private async Task ActAsync(string name, int number, Func<Random, Task> act, CancellationToken stop)
    {
        var random = new Random(unchecked((seed * 31) + number));
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await act(random);
                await Task.Delay(random.Next(60), stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // Whatever it is, it was not injected.
            catch (Exception e)
#pragma warning restore CA1031
            {
                _report.Fail(string.Create(CultureInfo.InvariantCulture, $"{name} {number}: {e.GetType().Name}: {e.Message}"));
            }
        }
    }

    /// <summary>Holds a session and talks now and then; joined sessions outlive every reload.</summary>
    private async Task IdleAsync(MailService service, Random random, CancellationToken stop)
    {
        await using SteadyClient client = await service.LogInAsync(random.Next());
        _report.Count("idle sessions");
        for (int talks = random.Next(5, 200); talks > 0 && !stop.IsCancellationRequested; talks--)
        {
            await Deadline.WithinAsync(Exchange(client), "a block to come back", _patience);
            _report.Count("blocks");
            await Task.Delay(random.Next(3000), stop);
        }
    }

    private async Task ComeAndGoAsync(MailService service, Random random, CancellationToken stop)
    {
        await using SteadyClient client = await service.LogInAsync(random.Next());
        _report.Count("logins");
        for (int blocks = random.Next(4); blocks > 0 && !stop.IsCancellationRequested; blocks--)
        {
            await Deadline.WithinAsync(Exchange(client), "a block to come back", _patience);
            _report.Count("blocks");
        }
    }

    private static Func<CancellationToken, Task<bool>> Exchange(SteadyClient client) => async stop =>
    {
        await client.ExchangeAsync(stop);
        return true;
    };

    /// <summary>Megabytes in both directions at once, each byte compared, with pauses in the reading so that buffers fill.</summary>
    private async Task MoveBulkAsync(MailService service, Random random, CancellationToken stop)
    {
        await using SteadyClient client = await service.LogInAsync(random.Next());
        int bytes = random.Next(1, 6) * 1024 * 1024;
        await Deadline.WithinAsync(
            async limit =>
            {
                await client.StreamAsync(bytes, random.Next(), limit);
                return true;
            },
            "bulk to come back",
            _patience);
        _report.Count("megabytes", bytes >> 20);
        await Task.Delay(random.Next(1000), stop);
    }

    /// <summary>A refused login, or one for which auth server or backend break: exactly the reply that belongs to it.</summary>
    private async Task FailAsync(MailService service, Random random)
    {
        bool refused = random.Next(3) == 0;
        string login = refused ? FaultyServers.Refused : FaultyServers.Logins[random.Next(FaultyServers.Logins.Count)];
        int which = random.Next(3);
        (int port, string signIn, string expected) = which switch
        {
            0 => (service.Imap, $"a LOGIN {login} secret\r\n", refused ? "a NO " : "* BAD internal server error"),
            1 => (service.Pop3, $"USER {login}\r\nPASS secret\r\n", refused ? "-ERR Invalid login" : "-ERR internal server error"),
            _ => (service.Smtp, $"AUTH PLAIN {Convert.ToBase64String(Encoding.ASCII.GetBytes($"\0{login}\0secret"))}\r\n", refused ? "535 " : "451 4.3.2 Internal server error"),
        };
        string said = await Deadline.WithinAsync(stop => ConverseAsync(port, signIn, which == 1 ? 2 : 1, stop), $"the reply to {login}", _patience);
        _report.Count(refused ? "refused logins" : "faults behind the proxy");
        if (!said.StartsWith(expected, StringComparison.Ordinal))
        {
            _report.Fail($"{login} on port {port}: \"{said}\" instead of \"{expected}\"");
        }
    }

    /// <returns>The last of so many lines behind the greeting.</returns>
    private static async Task<string> ConverseAsync(int port, string commands, int lines, CancellationToken stop)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, stop);
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
        _ = await reader.ReadLineAsync(stop);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(commands), stop);
        string line = "";
        for (int i = 0; i < lines; i++)
        {
            line = await reader.ReadLineAsync(stop) ?? "";
        }

        return line;
    }

    /// <summary>Clients without manners: noise, halves of handshakes and commands, sudden ends.</summary>
    private async Task MisbehaveAsync(MailService service, Random random)
    {
        int[] ports = [service.Imap, service.Imaps, service.Pop3, service.Smtp];
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, ports[random.Next(ports.Length)]));
        byte[] noise = new byte[random.Next(1, 6000)];
        random.NextBytes(noise);
        string[] starts = ["", "a LOGIN {4}\r\n", "AUTH PLAIN\r\n", "USER x\r\n", "\x16\x03\x01\x40\0\x01", "GET / HTTP/1.1\r\n\r\n", "a LOGIN user secret\r\n", "PROXY "];
        try
        {
            _ = socket.Send(Encoding.Latin1.GetBytes(starts[random.Next(starts.Length)]));
            _ = socket.Send(noise.AsSpan(0, random.Next(noise.Length)));
            if (random.Next(2) == 0)
            {
                _ = socket.Send("!"u8, SocketFlags.OutOfBand);
                await Task.Delay(random.Next(20));
            }
        }
        catch (SocketException)
        {
            // It was turned away, and rightly.
        }

        socket.LingerState = new LingerOption(random.Next(2) == 0, 0);
        _report.Count("misbehaving clients");
    }

    /// <summary>Reloads with another configuration, a bad one now and then, and log rotations.</summary>
    private async Task AdministrateAsync(MailService service, Random random, CancellationToken stop)
    {
        await Task.Delay(random.Next(500, 4000), stop);
        switch (random.Next(4))
        {
            case 0:
                File.Delete(service.LogFile + ".old");
                File.Move(service.LogFile, service.LogFile + ".old");
                service.Signal(MailService.Usr1);
                _report.Count("log rotations");
                break;
            case 1:
                service.Configure("no_such_directive on;");
                service.Signal(MailService.Hup);
                _report.Count("bad reloads");
                break;
            default:
                service.Configure(string.Create(CultureInfo.InvariantCulture, $"imap_capabilities ROUND{random.Next()};"));
                service.Signal(MailService.Hup);
                _report.Count("reloads");
                break;
        }
    }

    /// <summary>Notes memory until the time is over; compares its level after a quarter of the time with the one at the end.</summary>
    private async Task WatchAsync(int worker, TimeSpan time, CancellationToken stop)
    {
        const int Samples = 40;
        List<long> kilobytes = [];
        try
        {
            while (true)
            {
                await Task.Delay(time / Samples, stop);
                kilobytes.Add(ProcessMemory.KilobytesOf(worker));
                if (kilobytes.Count % (Samples / 4) == 0)
                {
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture, $"soak: {kilobytes[^1]} KB, {ProcessMemory.DescriptorsOf(worker)} descriptors; {_report}"));
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The time is over.
        }
        catch (IOException)
        {
            _report.Fail("the worker has gone");
            return;
        }

        long early = Median(kilobytes[(kilobytes.Count / 4)..(kilobytes.Count / 2)]);
        long late = Median(kilobytes[(kilobytes.Count * 3 / 4)..]);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"soak: memory {early} KB in the second quarter, {late} KB in the last"));
        if (late - early > AllowedGrowthKilobytes)
        {
            _report.Fail(string.Create(CultureInfo.InvariantCulture, $"memory grew from {early} to {late} KB"));
        }
    }

    private static long Median(List<long> values) => values.Order().ElementAt(values.Count / 2);

    private async Task CheckEndAsync(MailService service, int worker, int descriptorsBefore)
    {
        // Idle connections to the auth server may stay for the next login.
        const int KeptAuthConnections = 64;
        int descriptors = await SettledDescriptorsAsync(worker, descriptorsBefore + KeptAuthConnections);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"soak: {descriptors} descriptors at the end, {descriptorsBefore} at the start"));
        if (descriptors > descriptorsBefore + KeptAuthConnections)
        {
            _report.Fail(string.Create(CultureInfo.InvariantCulture, $"{descriptors} descriptors are open, {descriptorsBefore} were before"));
        }

        foreach (string line in service.Log.Split('\n').Where(line =>
            line.Contains("[alert]", StringComparison.Ordinal) || line.Contains("session failed", StringComparison.Ordinal) || line.Contains("secret", StringComparison.Ordinal)))
        {
            _report.Fail("log: " + line);
        }

        if (!MailService.IsRunning(worker))
        {
            _report.Fail("the worker has gone");
        }
    }

    /// <summary>Descriptors once their number has stopped falling, or is as wanted.</summary>
    private static async Task<int> SettledDescriptorsAsync(int worker, int wanted)
    {
        int now = int.MaxValue;
        int last;
        int tries = 0;
        do
        {
            last = now;
            await Task.Delay(250);
            now = ProcessMemory.DescriptorsOf(worker);
        }
        while ((now > wanted || now != last) && ++tries < 80);
        return now;
    }
}
