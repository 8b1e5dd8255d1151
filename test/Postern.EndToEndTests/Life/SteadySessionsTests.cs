using System.Globalization;
using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests.Life;

/// <summary>
/// Sessions of all protocols that never stop talking, and clients that never stop coming, while everything an administrator does is
/// done to the service. <c>POSTERN_STEADY=1</c> makes it a tenth of that.
/// </summary>
public sealed class SteadySessionsTests
{
    private static readonly int _scale = int.Parse(
        Environment.GetEnvironmentVariable("POSTERN_STEADY") ?? "10", NumberStyles.None, CultureInfo.InvariantCulture);

    [Fact]
    public async Task Service_ReloadedRotatedUpgradedAuthRestarted_NoSessionLostNoClientRefused()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends);
        List<SteadyClient> held = await HoldAsync(service, 50 * _scale);
        using var stop = new CancellationTokenSource();
        using var door = new SemaphoreSlim(1);
        Task<int> newcomers = KeepComingAsync(service, door, stop.Token);

        await service.ReloadAsync(0, 5 * _scale);
        for (int i = 0; i < _scale; i++)
        {
            // Both processes write to the new file from then on.
            File.Move(service.LogFile, string.Create(CultureInfo.InvariantCulture, $"{service.LogFile}.{i}"));
            service.Signal(MailService.Usr1);
            await service.LoggedAsync(": reopening logs\n", 2 * (i + 1));
        }

        // Whoever logs in while there is no auth server is told to come again, and rightly.
        await door.WaitAsync(TestContext.Current.CancellationToken);
        backends.RestartAuth();
        _ = door.Release();
        for (int i = 0; i < Math.Max(1, _scale / 3); i++)
        {
            await UpgradeAsync(service);
        }

        await stop.CancelAsync();
        int came = await newcomers;
        int blocks = await ReleaseAsync(held);
        TestContext.Current.SendDiagnosticMessage($"{held.Count} sessions exchanged {blocks} blocks, {came} clients came and went");
        Assert.True(came > 0);
    }

    [Fact]
    public async Task Worker_Crashes_OnlyItsSessionsAreLostAndNoClientIsRefused()
    {
        await using EchoBackends backends = new();
        await using MailService service = await MailService.StartAsync(backends, "daemon off;");
        List<SteadyClient> elsewhere = await HoldAsync(service, 25 * _scale);
        int first = Assert.Single(MailService.WorkersOf(service.Master));
        service.Configure(main: "worker_priority 1;");
        service.Signal(MailService.Hup);
        await service.LoggedAsync("gracefully shutting down\n");
        List<SteadyClient> doomed = await HoldAsync(service, 25 * _scale);
        int second = Assert.Single(MailService.WorkersOf(service.Master), worker => worker != first);

        MailService.Signal(second, MailService.Kill);
        for (int i = 0; i < 20; i++)
        {
            // A connection request is never refused: the master holds the sockets.
            await using var client = await Postern.TestKit.Scripted.ScriptedConnection.ConnectAsync(service.Imap);
        }

        await service.LoggedAsync("start worker process ", 3);
        List<SteadyClient> held = await HoldAsync(service, 8);
        _ = await ReleaseAsync(held);
        _ = await ReleaseAsync(elsewhere);
        foreach (SteadyClient client in doomed)
        {
            await Deadline.UntilAsync(() => !client.IsTalking, () => "a session outlived its process");
            await client.DisposeAsync();
        }
    }

    private static async Task<List<SteadyClient>> HoldAsync(MailService service, int count)
    {
        List<SteadyClient> held = [];
        for (int i = 0; i < count; i++)
        {
            SteadyClient client = await service.LogInAsync(i);
            client.Talk();
            held.Add(client);
        }

        return held;
    }

    /// <summary>Ends the sessions, which must all have gone well.</summary>
    /// <returns>The blocks they exchanged.</returns>
    private static async Task<int> ReleaseAsync(List<SteadyClient> held)
    {
        int blocks = 0;
        foreach (SteadyClient client in held)
        {
            await client.StopAsync();
            Assert.True(client.Blocks > 0);
            blocks += client.Blocks;
            await client.DisposeAsync();
        }

        return blocks;
    }

    /// <summary>Logs in, says something and leaves, again and again.</summary>
    /// <returns>How often.</returns>
    private static async Task<int> KeepComingAsync(MailService service, SemaphoreSlim door, CancellationToken stop)
    {
        int count = 0;
        while (!stop.IsCancellationRequested)
        {
            await door.WaitAsync(CancellationToken.None);
            try
            {
                await using SteadyClient client = await service.LogInAsync(count++);
                await client.ExchangeAsync(CancellationToken.None);
            }
            finally
            {
                _ = door.Release();
            }
        }

        return count;
    }

    /// <summary>The dance of mail-proxy 1.9: USR2, WINCH, QUIT. The old process lives on with its sessions.</summary>
    private static async Task UpgradeAsync(MailService service)
    {
        int old = service.Master;
        service.Signal(MailService.Usr2);
        await Deadline.UntilAsync(() => service.IsTakenOverFrom(old), () => service.Log);
        int fresh = service.Remember();
        await Deadline.UntilAsync(() => MailService.WorkersOf(fresh).Count == 1, () => service.Log);
        MailService.Signal(old, MailService.Winch);
        await service.LoggedAsync(string.Create(CultureInfo.InvariantCulture, $" {old}#{old}: signal 28 (SIGWINCH)"));
        MailService.Signal(old, MailService.Quit);
        await service.LoggedAsync(string.Create(CultureInfo.InvariantCulture, $" {old}#{old}: signal 3 (SIGQUIT)"));
    }
}
