namespace Postern.Bench;

/// <summary>A proxy under measurement: a long-lived process for what is measured under load, fresh ones for memory and start-up.</summary>
internal sealed class Contestant(ProxyProgram program, ProxyConfiguration configuration) : IDisposable
{
    private readonly ProxyPorts _ports = ProxyPorts.Free();
    private ProxyProcess? _process;

    public string Name => program.Name;

    public LoadTarget Plain => new(_ports.Plain, null);

    public LoadTarget TlsEcdsa(TlsClientContext context) => new(_ports.TlsEcdsa, context);

    public LoadTarget TlsRsa(TlsClientContext context) => new(_ports.TlsRsa, context);

    /// <summary>The process under load.</summary>
    public ProxyProcess Process => _process ??= ProxyProcess.Start(
        program, configuration.Write(program, _ports, ProxyConfiguration.ManyConnections));

    /// <summary>A process of its own for one measure; the one under load is stopped, so that nothing is shared with it.</summary>
    public ProxyProcess StartFresh(int workerConnections)
    {
        Stop();
        return ProxyProcess.Start(program, configuration.Write(program, _ports, workerConnections));
    }

    public void Stop()
    {
        _process?.Dispose();
        _process = null;
    }

    public void Dispose() => Stop();
}
