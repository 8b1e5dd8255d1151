using System.Collections.Concurrent;
using Postern.Demo;
using Postern.EndToEndTests;
using Postern.TestKit;
using Xunit;

[assembly: AssemblyFixture(typeof(MailSite))]

namespace Postern.EndToEndTests;

/// <summary>A proxy with a real Dovecot behind it, for all tests that only need somebody to log in.</summary>
public sealed class MailSite : IAsyncLifetime
{
    private static int _lastUser;

    private Dovecot? _dovecot;
    private DemoAuthServer? _auth;
    private ProxyPorts? _proxy;

    public static string Password => Dovecot.Password;

    public ConcurrentQueue<DemoLogin> Logins { get; } = [];

    public int StartTlsPort => _proxy!.StartTls;

    public int TlsPort => _proxy!.Tls;

    public int AuthPort => _auth!.EndPoint.Port;

    public string CertificateFile => _proxy!.Certificate.CertificateFile;

    public ProgramUnderTest Proxy => _proxy!.Program;

    /// <summary>A name nobody else uses: each test has a mailbox of its own.</summary>
    public static string NewUser() => NameOf(Interlocked.Increment(ref _lastUser));

    public async ValueTask InitializeAsync()
    {
        _dovecot = await Dovecot.StartAsync();
        _auth = new DemoAuthServer(Enumerable.Range(1, 1000).Select(i => new DemoUser(NameOf(i), Dovecot.Password)), _ => _dovecot.EndPoint);
        _auth.Answered += Logins.Enqueue;
        _proxy = await ProxyPorts.StartAsync(_auth.Url);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable? part in new IAsyncDisposable?[] { _proxy, _auth, _dovecot })
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }
    }

    private static string NameOf(int number) => $"user{number}@example.test";
}
