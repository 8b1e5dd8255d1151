using System.Net.Security;
using System.Security.Authentication;
using System.Text;
using Postern.Net.Tests.Scripted;
using Postern.TestKit.Hostile;
using Xunit;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>Web browsers sent to a mail port by an attacker (ALPACA, USENIX Security 2021): security cases, section 2.</summary>
public sealed class CrossProtocolTests
{
    private static readonly string[] _methods = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT"];

    public static TheoryData<MailProtocol> Protocols => StartTlsTests.Protocols;

    [Theory]
    [MemberData(nameof(Protocols))]
    public void Alpn_OwnNameOrNone_IsAcceptedFromTheFirstByteAndAfterStartTls(MailProtocol protocol)
    {
        string own = MailProtocols.AlpnName(protocol);
        foreach (bool ssl in (bool[])[true, false])
        {
            Assert.Equal(own, Offer(protocol, ssl, own));
            Assert.Equal(own, Offer(protocol, ssl, "h2", "http/1.1", own));
            Assert.Equal("", Offer(protocol, ssl));
        }
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public void Alpn_ForeignNamesOnly_NoHandshake(MailProtocol protocol)
    {
        string[][] foreign =
        [
            ["h2"], ["http/1.1"], ["h2", "http/1.1"], ["http/1.0"], ["ftp"], ["managesieve"], ["xmpp-client"], ["x"], ["imap4"], [new string('x', 255)],
            .. Protocols.Select(row => row.Data).Where(other => other != protocol).Select(other => (string[])[MailProtocols.AlpnName(other)]),
            [MailProtocols.AlpnName(protocol).ToUpperInvariant()],
        ];
        foreach (string[] names in foreign)
        {
            foreach (bool ssl in (bool[])[true, false])
            {
                Assert.Null(Offer(protocol, ssl, names));
            }
        }
    }

    /// <summary>One reply without a byte of the request, and the end; the body, which an attacker writes, is never read as commands.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void HttpRequest_SplitAtEveryByte_OneReplyWithoutReflectionAndTheEnd(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string method in _methods)
        {
            string request = $"{method} /<script>alert(1)</script> HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{dialect.Marker}{dialect.SignIn}";
            for (int split = 0; split < request.Length; split += method == "POST" ? 1 : 7)
            {
                using SessionHarness mail = Serve(protocol);
                ScriptedSocket client = mail.Connect();
                client.TakeText();
                mail.Say(client, request[..split]);
                if (!client.Closed)
                {
                    mail.Say(client, request[split..]);
                }

                Assert.Equal(dialect.Invalid, client.TakeText());
                Assert.True(client.EndSent, "the client is still served");
                Assert.Empty(mail.Script.Kernel.Connected);
                Assert.Contains("client sent HTTP request while in auth state", mail.Log(), StringComparison.Ordinal);
                Assert.DoesNotContain("script", mail.Log(), StringComparison.Ordinal);
                End(mail, client);
            }
        }
    }

    /// <summary>A browser that got through the handshake without ALPN fares no better.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void HttpRequest_InsideTls_OneReplyWithoutReflectionAndTheEnd(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        using SessionHarness mail = Serve(protocol, ssl: true);
        var client = HostileClient.Connect(mail);
        client.Handshake();
        client.TakeSecret();
        Assert.Equal(dialect.Invalid, client.SaySecret("POST /secret HTTP/1.1\r\nHost: x\r\n\r\n" + dialect.SignIn));
        Assert.True(client.Ended);
        Assert.Empty(mail.Script.Kernel.Connected);
        client.Leave();
    }

    /// <summary>A request line that never ends, or that ends beyond the buffer, is cut off without its path.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void HttpRequest_LongerThanTheBuffer_ClosedWithoutReflection(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        using SessionHarness mail = Serve(protocol);
        ScriptedSocket client = mail.Connect();
        client.TakeText();
        mail.Say(client, "GET /" + new string('<', 5000) + " HTTP/1.1\r\n\r\n" + dialect.SignIn);
        string reply = client.TakeText();
        Assert.Single(reply.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.DoesNotContain("<", reply, StringComparison.Ordinal);
        Assert.True(client.EndSent);
        Assert.Empty(mail.Script.Kernel.Connected);
        End(mail, client);
    }

    /// <returns>The protocol agreed on, empty if none was; null if the handshake was refused.</returns>
    private static string? Offer(MailProtocol protocol, bool ssl, params string[] names)
    {
        Dialect dialect = Dialects.Of(protocol);
        using SessionHarness mail = Serve(protocol, ssl);
        ScriptedSocket socket = mail.Connect();
        if (!ssl)
        {
            socket.TakeText();
            mail.Say(socket, dialect.StartTls);
            socket.TakeText();
        }

        using var client = new SslStream(new ScriptedClientStream(mail.Script, socket));
        try
        {
            client.AuthenticateAsClient(new SslClientAuthenticationOptions
            {
                TargetHost = "mx.example.test",
                ApplicationProtocols = names.Length == 0 ? null : [.. names.Select(name => new SslApplicationProtocol(name))],
#pragma warning disable CA5359 // the tests' certificates are made up
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
            });
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            Assert.Contains("SSL routines::no application protocol", mail.Log(), StringComparison.Ordinal);
            End(mail, socket);
            return null;
        }

        string agreed = Encoding.ASCII.GetString(client.NegotiatedApplicationProtocol.Protocol.Span);
        End(mail, socket);
        return agreed;
    }

    private static SessionHarness Serve(MailProtocol protocol, bool ssl = false) =>
        new(settings => Dialects.Apply(settings, protocol) with { MaxErrors = 1000 }, ssl);

    private static void End(SessionHarness mail, ScriptedSocket client)
    {
        if (!client.Closed)
        {
            client.ArriveEnd();
        }

        mail.Script.Pass(130_000);
        Assert.Equal(0, mail.Script.Kernel.OpenSockets);
        Assert.Equal(0, mail.Script.Loop.Timers.Count);
    }
}
