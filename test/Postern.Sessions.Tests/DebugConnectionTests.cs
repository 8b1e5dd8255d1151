using System.Net;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Sessions.Tests;

/// <summary>Directive <c>debug_connection</c>: clients of which everything is logged, whatever the log's level.</summary>
public sealed class DebugConnectionTests
{
    private const string Tail = ", client: 192.0.2.55, server: 0.0.0.0:143";

    /// <summary>The harness' client is 192.0.2.55.</summary>
    [Theory]
    [InlineData("192.0.2.55", true)]
    [InlineData("192.0.2.0/24", true)]
    [InlineData("192.0.2.48/29", true)]
    [InlineData("192.0.2.54", false)]
    [InlineData("192.0.2.56/29", false)]
    [InlineData("2001:db8::/32", false)]
    [InlineData("unix:", false)]
    public void Range_Client_IsLoggedIfItIsMeant(string range, bool logged)
    {
        using var mail = Create(range);

        ScriptedSocket client = mail.Connect();
        mail.Say(client, "a NOOP\r\n");

        Assert.Equal(logged, mail.Log().Contains("client 192.0.2.55:4242 connected to 0.0.0.0:143\n", StringComparison.Ordinal));
        Assert.Equal(logged, mail.Log().Contains("[debug]", StringComparison.Ordinal));
    }

    [Fact]
    public void Login_LoggedAtEveryLevel_TellsEachStepInOrderAndNoSecret()
    {
        using var mail = Create("192.0.2.55");

        ScriptedSocket client = mail.Connect();
        mail.Say(client, "swordfish-as-verb\r\na AUTHENTICATE PLAIN AGFsaWNlAHN3b3JkZmlzaC1hcy12ZXJi\r\n");
        mail.Say(mail.Opened(0), "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 1\r\n\r\n");
        mail.Script.Pass(2000);
        mail.Accept(1);
        mail.Say(mail.Opened(2), "* OK ready\r\n");
        mail.Say(mail.Opened(2), "a OK welcome\r\n");

        string log = mail.Log();
        int at = 0;
        foreach (string line in (string[])
        [
            "client 192.0.2.55:4242 connected to 0.0.0.0:143\n",
            "sending client greeting line" + Tail + "\n",
            "in auth state" + Tail + "\n",
            "client command UNKNOWN while in auth state" + Tail + "\n",
            "client command AUTHENTICATE while in auth state" + Tail + "\n",
            "in http auth state" + Tail,
            "asking auth http server 127.0.0.1:9000, attempt 1, method Plain while in http auth state" + Tail,
            "auth http server 127.0.0.1:9000 answered Wait while in http auth state" + Tail,
            "auth http server 127.0.0.1:9000 answered Ok while in http auth state" + Tail,
            "connecting to upstream" + Tail,
            "upstream has accepted this step while reading response from upstream" + Tail,
            "proxying" + Tail,
            "client logged in" + Tail,
        ])
        {
            int found = log.IndexOf("*" + Number(log) + " " + line, at, StringComparison.Ordinal);
            Assert.True(found >= 0, $"\"{line}\" is missing, or too early, in {log}");
            at = found + 1;
        }

        Assert.DoesNotContain("swordfish", log, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("AGFsaWNlAHN3", log, StringComparison.Ordinal);
    }

    [Fact]
    public void ProxyHeader_RealAddressIsMeant_IsLoggedFromThereOn()
    {
        using var mail = new SessionHarness(
            settings => settings with { RealIPFrom = Ranges("192.0.2.0/24") }, proxyProtocol: true, level: LogLevel.Emerg, debugConnections: Ranges("198.51.100.7"));

        ScriptedSocket client = mail.Connect();
        mail.Say(client, "PROXY TCP4 198.51.100.7 10.0.0.1 5555 143\r\n");

        Assert.Contains("[debug]", mail.Log(), StringComparison.Ordinal);
        Assert.Contains("sending client greeting line, client: 198.51.100.7, server: 0.0.0.0:143\n", mail.Log(), StringComparison.Ordinal);
    }

    private static SessionHarness Create(string range) => new(level: LogLevel.Emerg, debugConnections: Ranges(range));

    private static IReadOnlyList<AddressRange> Ranges(string text) => AddressRange.Parse(text, _ => [IPAddress.Loopback], out _);

    /// <summary>The connection's, from the first line.</summary>
    private static string Number(string log) => log[(log.IndexOf('*', StringComparison.Ordinal) + 1)..log.IndexOf(" client ", StringComparison.Ordinal)];
}
