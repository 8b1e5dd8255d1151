namespace Postern.Bench;

/// <summary>A proxy under measurement: a long-lived process for what is measured under load, fresh ones for memory and start-up.</summary>
internal sealed class Contestant(ProxyProgram program, BenchSite site) : IDisposable
{
    private readonly ProxyPorts _ports = new();
    private ProxyProcess? _process;

    public string Name => program.Name;

    /// <summary>Where its plain IMAP clients go: all can do that.</summary>
    public LoadTarget Plain => Target(ProxyService.Imap, null);

    /// <summary>The process under load.</summary>
    public ProxyProcess Process => _process ??= ProxyProcess.Start(
        program, program.WriteConfiguration(site, _ports, BenchSite.ManyConnections, all: true));

    /// <summary>Whether the proxy can be measured that way.</summary>
    public bool Can(Measure measure) => program.Services.Contains(measure.Service) && (program.Resumes || !measure.NeedsResumption);

    /// <param name="service">What of it.</param>
    /// <param name="tls">Null = the service is in clear text.</param>
    public LoadTarget Target(ProxyService service, TlsClientContext? tls) => new(
        _ports[service],
        tls,
        service switch
        {
            ProxyService.Pop3 or ProxyService.Pop3Tls => Dialogue.Pop3,
            ProxyService.Smtp or ProxyService.SmtpTls => Dialogue.Smtp,
            _ => Dialogue.Imap,
        });

    /// <summary>A process of its own for one measure; the one under load is stopped, so that nothing is shared with it.</summary>
    public ProxyProcess StartFresh(int workerConnections)
    {
        Stop();
        return ProxyProcess.Start(program, program.WriteConfiguration(site, _ports, workerConnections, all: false));
    }

    public void Stop()
    {
        _process?.Dispose();
        _process = null;
    }

    public void Dispose() => Stop();
}
