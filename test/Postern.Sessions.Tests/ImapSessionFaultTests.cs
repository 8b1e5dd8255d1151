using CsCheck;
using Postern.Interop;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Sessions.Tests;

/// <summary>Whatever clients, auth server, backend and kernel do in whatever order: sessions end and nothing is left behind.</summary>
public sealed class ImapSessionFaultTests
{
    private static readonly string[] _clientSays =
    [
        "a NOOP\r\n", "a LOGIN u p\r\n", "a LOGIN u p\r\nb SELECT inbox\r\n", "a AUTHENTICATE PLAIN\r\n", "AHUAcA==\r\n", "a AUTH", "*\r\n",
        "a LOGOUT\r\n", "a STARTTLS\r\n", "a LOGIN {1}\r\n", "u {1}\r\np\r\n", "a LOGIN {9999}\r\n", "nonsense\r\n", new string('x', 5000), "\r\n",
    ];

    private static readonly string[] _serverSays =
    [
        "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.9\r\nAuth-Port: 143\r\n\r\n",
        "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.9\r\nAuth-Port: 143\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n",
        "ok", "HTTP/1.0 200 OK\r\nAuth-Status: no\r\nAuth-Wait: 2\r\n\r\n", "HTTP/1.0 200 OK\r\nAuth-Status: no\r\n\r\n",
        "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\n\r\n", "* OK hello\r\n", "+ go on\r\n", "a OK done\r\n", "* CAPABILITY X\r\na OK\r\n", "a NO no\r\n",
        "* BYE\r\n", "HTTP/1.0 2", "\r\n",
    ];

    private static readonly Gen<(int Kind, int Which, int Amount)[]> _steps =
        Gen.Select(Gen.Int[0, 15], Gen.Int[0, 9], Gen.Int[0, 5000]).Array[1, 40];

    [Fact]
    public void RandomDialogueAndFaults_EverythingIsGivenBack() => _steps.Sample(
        steps =>
        {
            using var mail = new SessionHarness();
            List<ScriptedSocket> clients = [mail.Connect()];
            foreach ((int kind, int which, int amount) in steps)
            {
                Step(mail, clients, kind, which, amount);
            }

            mail.Script.Kernel.AddInterestError = mail.Script.Kernel.ConnectError = 0;
            foreach (ScriptedSocket socket in clients.Concat(mail.Script.Kernel.Connected).Where(socket => !socket.Closed).ToList())
            {
                socket.ArriveEnd();
            }

            mail.Script.Pass(1_000_000);
            mail.Script.Loop.BeginDraining();
            mail.Script.Settle();
            Assert.Equal(0, mail.Script.Kernel.OpenSockets);
            Assert.Equal(0, mail.Script.Loop.Connections);
            Assert.Equal(0, mail.Script.Loop.Timers.Count);
            Assert.DoesNotContain("session failed", mail.Log(), StringComparison.Ordinal);
        },
        iter: 400);

    private static void Step(SessionHarness mail, List<ScriptedSocket> clients, int kind, int which, int amount)
    {
        List<ScriptedSocket> opened = mail.Script.Kernel.Connected;
        ScriptedSocket? client = clients[which % clients.Count];
        ScriptedSocket? server = opened.Count > 0 ? opened[^(1 + (which % Math.Min(2, opened.Count)))] : null;
        client = client.Closed ? null : client;
        server = server is null || server.Closed ? null : server;
        switch (kind)
        {
            case 0 or 1 or 2 or 3 when client is { EndArrived: false }:
                client.Arrive(_clientSays[amount % _clientSays.Length]);
                break;
            case 4 or 5 or 6 or 7 when server is { EndArrived: false, Connecting: false }:
                server.Arrive(_serverSays[amount % _serverSays.Length]);
                break;
            case 8:
                clients.Add(mail.Connect());
                break;
            case 9:
                (amount % 2 == 0 ? client : server)?.ArriveEnd();
                break;
            case 10:
                (amount % 2 == 0 ? client : server)?.Fail(Libc.ECONNRESET);
                break;
            case 11:
                mail.Script.Kernel.ConnectsAtOnce = amount % 2 == 0;
                mail.Script.Kernel.ConnectError = amount % 11 == 0 ? Libc.ENETUNREACH : 0;
                break;
            case 12:
                mail.Script.Kernel.AddInterestError = amount % 4 == 0 ? Libc.ENOMEM : 0;
                break;
            case 13:
                server?.Establish();
                break;
            case 14:
                mail.Script.Pass(amount * 4);
                return;
            default:
                break;
        }

        if (amount % 3 != 0)
        {
            mail.Script.Settle();
        }
    }
}
