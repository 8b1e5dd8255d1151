using System.Buffers;
using System.Net;
using DnsClient;
using DnsClient.Protocol;

namespace Postern.Net.Resolving;

/// <summary>
/// Finds the host name of a client: the first PTR record of its address, believed only if the name's own addresses contain it
/// (mail-proxy 6.3). Works off the loops; every client of an address waits for one and the same lookup.
/// </summary>
public sealed class ClientNameResolver
{
    /// <summary>After so long a name server is asked again.</summary>
    private static readonly TimeSpan _resendAfter = TimeSpan.FromSeconds(5);

    /// <summary>RFC 1035 section 2.3.4, final dot included.</summary>
    private const int MaxNameLength = 255;

    private static readonly SearchValues<char> _hostNameChars = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

    private readonly ResolverSettings _settings;
    private readonly LookupClient _client;
    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, List<LoopAnswer<ClientName>>> _waiting = [];

    public ClientNameResolver(ResolverSettings settings)
    {
        _settings = settings;
        TimeSpan retryAfter = settings.Timeout < _resendAfter && settings.Timeout > TimeSpan.Zero ? settings.Timeout : _resendAfter;
        var options = new LookupClientOptions([.. settings.Servers.Select(server => new NameServer(
            new IPEndPoint(new IPAddress(server.AddressBytes), server.Port)))])
        {
            Timeout = retryAfter,
            Retries = (int)Math.Min(100, settings.Timeout / retryAfter),
            UseRandomNameServer = true,
            ThrowDnsErrors = false,
            ContinueOnDnsError = true,
            UseTcpFallback = true,
            UseCache = settings.Valid != TimeSpan.Zero,
            MinimumCacheTimeout = CacheTime(settings.Valid),
            MaximumCacheTimeout = CacheTime(settings.Valid),
        };
        _client = new LookupClient(options);
    }

    /// <summary>Looks a client up. Call on the connection's loop; the answer comes there.</summary>
    /// <param name="client">An IPv4 or IPv6 address.</param>
    /// <param name="connection">On whose behalf.</param>
    public LoopAnswer<ClientName> Resolve(EndpointAddress client, Connection connection)
    {
        ArgumentNullException.ThrowIfNull(client);
        var answer = new LoopAnswer<ClientName>(connection);
        IPAddress address = new(client.AddressBytes);
        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        lock (_lock)
        {
            if (_waiting.TryGetValue(address, out List<LoopAnswer<ClientName>>? others))
            {
                others.Add(answer);
                return answer;
            }

            _waiting[address] = [answer];
        }

        ThreadPool.UnsafeQueueUserWorkItem(
            static work => _ = work.Resolver.AnswerAsync(work.Address), new Work(this, address), preferLocal: false);
        return answer;
    }

    private static TimeSpan? CacheTime(TimeSpan? valid) =>
        valid is { } time && time > TimeSpan.Zero ? TimeSpan.FromSeconds(Math.Min(time.TotalSeconds, TimeSpan.FromDays(24).TotalSeconds)) : null;

    private async Task AnswerAsync(IPAddress address)
    {
        ClientName name;
        try
        {
            name = await LookUpAsync(address).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // Whatever a hostile answer does to the library, the clients who wait get on.
        catch (Exception)
#pragma warning restore CA1031
        {
            name = Failed(ResolveFailure.ServerFailure, "");
        }

        List<LoopAnswer<ClientName>> waiting;
        lock (_lock)
        {
            waiting = _waiting[address];
            _waiting.Remove(address);
        }

        foreach (LoopAnswer<ClientName> answer in waiting)
        {
            answer.Set(name);
        }
    }

    private async Task<ClientName> LookUpAsync(IPAddress address)
    {
        Answer pointer = await AskAsync((client, stop) => client.QueryReverseAsync(address, stop)).ConfigureAwait(false);
        if (pointer.Response is not { } response)
        {
            return Failed(pointer.Code, "");
        }

        PtrRecord? record = response.Answers.PtrRecords().FirstOrDefault();
        if (record is null)
        {
            return Failed(response.Answers.Count == 0 ? ResolveFailure.HostNotFound : ResolveFailure.ServerFailure, "");
        }

        // The owner of an address block writes into this record whatever he likes, line ends too (CVE-2026-28753).
        string name = record.PtrDomainName.Value;
        string host = name.EndsWith('.') ? name[..^1] : name;
        if (host.Length is 0 or > MaxNameLength || host.AsSpan().ContainsAnyExcept(_hostNameChars))
        {
            return new ClientName(ClientName.TemporarilyUnavailable, new ResolveFailure(0, host));
        }

        return await ConfirmAsync(host, address).ConfigureAwait(false);
    }

    /// <summary>Anybody can point an address to somebody else's name; only the name's owner can point back.</summary>
    private async Task<ClientName> ConfirmAsync(string host, IPAddress address)
    {
        bool isIPv4 = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork;
        if (isIPv4 ? !_settings.IPv4 : !_settings.IPv6)
        {
            return new ClientName(ClientName.Unavailable);
        }

        Answer forward = await AskAsync(
            (client, stop) => client.QueryAsync(host, isIPv4 ? QueryType.A : QueryType.AAAA, cancellationToken: stop)).ConfigureAwait(false);
        if (forward.Response is not { } response)
        {
            return Failed(forward.Code, host);
        }

        return response.Answers.AddressRecords().Any(record => record.Address.Equals(address))
            ? new ClientName(host.ToLowerInvariant())
            : new ClientName(ClientName.Unavailable);
    }

    private async Task<Answer> AskAsync(Func<LookupClient, CancellationToken, Task<IDnsQueryResponse>> ask)
    {
        using var stop = new CancellationTokenSource(_settings.Timeout);
        try
        {
            IDnsQueryResponse response = await ask(_client, stop.Token).WaitAsync(stop.Token).ConfigureAwait(false);
            return response.HasError ? new Answer(null, (int)response.Header.ResponseCode) : new Answer(response, 0);
        }
        catch (OperationCanceledException)
        {
            return new Answer(null, ResolveFailure.TimedOut);
        }
        catch (DnsResponseException e)
        {
            return new Answer(null, e.Code == DnsResponseCode.ConnectionTimeout ? ResolveFailure.TimedOut : ResolveFailure.ServerFailure);
        }
    }

    private static ClientName Failed(int code, string host) => new(
        code == ResolveFailure.HostNotFound ? ClientName.Unavailable : ClientName.TemporarilyUnavailable, new ResolveFailure(code, host));

    /// <summary>A response without error, or an error code.</summary>
    private readonly record struct Answer(IDnsQueryResponse? Response, int Code);

    private readonly record struct Work(ClientNameResolver Resolver, IPAddress Address);
}
