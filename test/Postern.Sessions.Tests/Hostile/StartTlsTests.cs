using Postern.Net;
using Postern.Net.Tls;
using Postern.TestKit.Hostile;
using Xunit;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>
/// What an attacker between client and proxy can say in clear before the victim's handshake (nostarttls.secvuln.info; security cases A1
/// to A13, nginx CVE-2014-3556, Dovecot CVE-2021-33515): none of it is ever answered, or remembered, inside TLS.
/// </summary>
public sealed class StartTlsTests
{
    public static TheoryData<MailProtocol> Protocols => [MailProtocol.Imap, MailProtocol.Pop3, MailProtocol.Smtp];

    /// <summary>A1, A2, A3, A6, A7: command and injection in one segment.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Injection_InOneSegment_IsNeverAnsweredNorRemembered(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string injection in dialect.Injections)
        {
            using SessionHarness mail = Serve(protocol);
            var client = HostileClient.Connect(mail);
            client.TakeClear();
            string clear = client.SayClear(dialect.StartTls + injection);
            AssertOnlyGoAhead(dialect, clear, injection);
            Meet(mail, dialect, client);
        }
    }

    /// <summary>A5: every byte boundary, so that the rest comes while the session is in the handshake already.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Injection_SplitAtEveryByte_IsNeverAnsweredNorRemembered(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string injection in dialect.Injections.Where(text => text.Length < 200))
        {
            string all = dialect.StartTls + injection;
            for (int split = 1; split < all.Length; split++)
            {
                using SessionHarness mail = Serve(protocol);
                var client = HostileClient.Connect(mail);
                client.TakeClear();
                string clear = client.SayClear(all[..split]);
                clear += client.SayClear(all[split..]);
                AssertOnlyGoAhead(dialect, clear, injection);
                Meet(mail, dialect, client);
            }
        }
    }

    /// <summary>A5: one byte at a time.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Injection_ByteByByte_IsNeverAnsweredNorRemembered(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string injection in dialect.Injections.Where(text => text.Length < 200))
        {
            using SessionHarness mail = Serve(protocol);
            var client = HostileClient.Connect(mail);
            client.TakeClear();
            string clear = string.Concat((dialect.StartTls + injection).Select(ch => client.SayClear(ch.ToString())));
            AssertOnlyGoAhead(dialect, clear, injection);
            Meet(mail, dialect, client);
        }
    }

    /// <summary>A5: the injected bytes glued to the ClientHello are no handshake.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Injection_GluedToTheClientHello_EndsTheConnection(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string injection in dialect.Injections)
        {
            using SessionHarness mail = Serve(protocol);
            var client = HostileClient.Connect(mail);
            client.TakeClear();
            Assert.Equal(dialect.GoAhead, client.SayClear(dialect.StartTls));
            Assert.NotEqual(HandshakeOutcome.Completed, client.Handshake(glued: injection));
            Assert.Contains("SSL_do_handshake() failed", mail.Log(), StringComparison.Ordinal);
            Finish(mail, client);
        }
    }

    /// <summary>A5: command, injection and ClientHello in one segment. All of it was sent before the go-ahead: all of it is dropped.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Injection_WithTheClientHelloBehindIt_NoHandshake(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string injection in dialect.Injections)
        {
            using SessionHarness mail = Serve(protocol);
            var client = HostileClient.Connect(mail);
            client.TakeClear();
            Assert.NotEqual(HandshakeOutcome.Completed, client.Handshake(glued: dialect.StartTls + injection));
            mail.Script.Pass(121_000);
            Assert.True(client.Near.Closed);
            Finish(mail, client);
        }
    }

    /// <summary>The handshake itself may come in any pieces.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Handshake_InPiecesOfAnySize_IsCompleted(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (int chunk in (int[])[1, 2, 3, 5, 7, 64, 300, 1024])
        {
            using SessionHarness mail = Serve(protocol);
            var client = HostileClient.Connect(mail);
            client.TakeClear();
            Assert.Equal(dialect.GoAhead, client.SayClear(dialect.StartTls));
            Assert.Equal(HandshakeOutcome.Completed, client.Handshake(chunk: chunk));
            Assert.Equal(dialect.MarkerReply, client.SaySecret(dialect.Marker));
            Finish(mail, client);
        }
    }

    /// <summary>A9: a second STARTTLS, and one with arguments, which nginx ignores.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void StartTls_InsideTls_IsRefusedAndTheSessionGoesOn(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        using SessionHarness mail = Serve(protocol);
        var client = HostileClient.Connect(mail);
        client.TakeClear();
        Assert.Equal(dialect.GoAhead, client.SayClear(dialect.StartTls.Replace("\r", " with arguments\r", StringComparison.Ordinal)));
        Assert.Equal(HandshakeOutcome.Completed, client.Handshake());
        string invalid = dialect.Invalid.Replace("*", "a", StringComparison.Ordinal);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(invalid, client.SaySecret(dialect.StartTls));
            Assert.Equal(dialect.MarkerReply, client.SaySecret(dialect.Marker));
        }

        Finish(mail, client);
    }

    /// <summary>A9: in the middle of a SASL exchange the word is a response, and a bad one.</summary>
    [Theory]
    [InlineData(MailProtocol.Imap, "a AUTHENTICATE PLAIN\r\n")]
    [InlineData(MailProtocol.Imap, "a AUTHENTICATE LOGIN\r\n")]
    [InlineData(MailProtocol.Imap, "a AUTHENTICATE CRAM-MD5\r\n")]
    [InlineData(MailProtocol.Imap, "a AUTHENTICATE EXTERNAL\r\n")]
    [InlineData(MailProtocol.Pop3, "AUTH PLAIN\r\n")]
    [InlineData(MailProtocol.Pop3, "AUTH LOGIN\r\n")]
    [InlineData(MailProtocol.Pop3, "AUTH CRAM-MD5\r\n")]
    [InlineData(MailProtocol.Pop3, "AUTH EXTERNAL\r\n")]
    [InlineData(MailProtocol.Smtp, "AUTH PLAIN\r\n")]
    [InlineData(MailProtocol.Smtp, "AUTH LOGIN\r\n")]
    [InlineData(MailProtocol.Smtp, "AUTH CRAM-MD5\r\n")]
    [InlineData(MailProtocol.Smtp, "AUTH EXTERNAL\r\n")]
    public void StartTls_DuringSasl_IsAResponse(MailProtocol protocol, string auth)
    {
        Dialect dialect = Dialects.Of(protocol);
        using SessionHarness mail = Serve(protocol);
        var client = HostileClient.Connect(mail);
        client.TakeClear();
        client.SayClear(auth);
        string reply = client.SayClear("**" + dialect.StartTls);
        Assert.Equal(dialect.Invalid.Replace("*", "a", StringComparison.Ordinal), reply);
        Assert.Equal(dialect.GoAhead, client.SayClear(dialect.StartTls));
        Assert.Equal(HandshakeOutcome.Completed, client.Handshake());
        Assert.Equal(dialect.MarkerReply, client.SaySecret(dialect.Marker));
        Assert.Empty(mail.Script.Kernel.Connected);
        Finish(mail, client);
    }

    /// <summary>A8: nothing learned in clear decides about what comes inside TLS.</summary>
    [Fact]
    public void Smtp_TransactionAndNameBegunInClear_AreForgotten()
    {
        using SessionHarness mail = new(settings => Dialects.Apply(settings, MailProtocol.Smtp) with { AuthMethods = AuthMethods.None });
        var client = HostileClient.Connect(mail);
        client.TakeClear();
        client.SayClear("EHLO attacker\r\n");
        Assert.Equal("250 2.0.0 OK\r\n", client.SayClear("MAIL FROM:<attacker>\r\n"));
        client.SayClear("STARTTLS\r\n");
        Assert.Equal(HandshakeOutcome.Completed, client.Handshake());
        Assert.Equal("503 5.5.1 Bad sequence of commands\r\n", client.SaySecret("RCPT TO:<a>\r\n"));
        Assert.Equal("250 2.0.0 OK\r\n", client.SaySecret("MAIL FROM:<victim>\r\n"));
        client.SaySecret("RCPT TO:<a>\r\n");
        string request = mail.Opened(0).TakeText();
        Assert.DoesNotContain("attacker", request, StringComparison.Ordinal);
        Assert.Contains("Auth-SMTP-Helo: \r\n", request, StringComparison.Ordinal);
        client.Leave();
    }

    /// <summary>A10: the word as data.</summary>
    [Fact]
    public void Smtp_TheWordInAddresses_HasNoEffect()
    {
        using SessionHarness mail = new(settings => Dialects.Apply(settings, MailProtocol.Smtp) with { AuthMethods = AuthMethods.None });
        var client = HostileClient.Connect(mail);
        client.TakeClear();
        Assert.Equal("250 2.0.0 OK\r\n", client.SayClear("MAIL FROM:<STARTTLS>\r\n"));
        Assert.Equal("", client.SayClear("RCPT TO:<STARTTLS> STARTTLS\r\n"));
        Assert.Contains("Auth-SMTP-To: RCPT TO:<STARTTLS> STARTTLS\r\n", mail.Opened(0).TakeText(), StringComparison.Ordinal);
        Assert.Equal(0, mail.Script.Kernel.Connected.Count - 1);
        client.Leave();
    }

    /// <summary>A11: nothing a client can try in clear signs it in, or makes a mail.</summary>
    [Theory]
    [InlineData(MailProtocol.Imap, "a LOGIN u p\r\n|a AUTHENTICATE PLAIN AHUAcA==\r\n|a AUTHENTICATE PLAIN\r\n|a AUTHENTICATE LOGIN dQ==\r\n|a AUTHENTICATE EXTERNAL dQ==\r\n")]
    [InlineData(MailProtocol.Pop3, "USER u\r\n|PASS p\r\n|APOP u 11111111111111111111111111111111\r\n|AUTH\r\n|AUTH PLAIN AHUAcA==\r\n|AUTH PLAIN\r\n|AUTH LOGIN\r\n|AUTH EXTERNAL dQ==\r\n")]
    [InlineData(MailProtocol.Smtp, "AUTH PLAIN AHUAcA==\r\n|AUTH PLAIN\r\n|AUTH LOGIN\r\n|AUTH EXTERNAL dQ==\r\n|MAIL FROM:<a>\r\n|RCPT TO:<a>\r\n")]
    public void StartTlsOnly_InClear_NothingSignsIn(MailProtocol protocol, string commands)
    {
        using SessionHarness mail = new(settings =>
        {
            settings = Dialects.Apply(settings, protocol);
            return settings with
            {
                Tls = settings.Tls with { StartTls = StartTls.Only },
                AuthMethods = settings.AuthMethods | (protocol == MailProtocol.Smtp ? AuthMethods.None : 0),
            };
        });
        var client = HostileClient.Connect(mail);
        client.TakeClear();
        foreach (string command in commands.Split('|'))
        {
            string reply = client.SayClear(command);
            Assert.Matches(protocol == MailProtocol.Smtp ? "^5[0-9][0-9] [^\n]*\n$" : protocol == MailProtocol.Pop3 ? "^-ERR [^\n]*\n$" : "^a BAD [^\n]*\n$", reply);
        }

        Assert.Empty(mail.Script.Kernel.Connected);
        Finish(mail, client);
    }

    /// <summary>A13: what looks like a second PROXY header is not one.</summary>
    [Fact]
    public void SecondProxyHeader_AfterStartTls_IsGarbage()
    {
        const string Header = "PROXY TCP4 198.51.100.7 192.0.2.1 4242 143\r\n";
        Dialect dialect = Dialects.Of(MailProtocol.Imap);
        using (SessionHarness mail = Serve(MailProtocol.Imap, proxyProtocol: true))
        {
            var client = HostileClient.Connect(mail);
            Assert.Equal("", client.TakeClear());
            Assert.Equal(dialect.Greeting, client.SayClear(Header));
            client.SayClear(dialect.StartTls);
            Assert.NotEqual(HandshakeOutcome.Completed, client.Handshake(glued: Header));
            Assert.True(client.Near.Closed || client.Near.EndSent);
            Finish(mail, client);
        }

        using (SessionHarness mail = Serve(MailProtocol.Imap, proxyProtocol: true))
        {
            var client = HostileClient.Connect(mail);
            client.SayClear(Header);
            client.SayClear(dialect.StartTls);
            Assert.Equal(HandshakeOutcome.Completed, client.Handshake());
            Assert.Equal("PROXY BAD invalid command\r\n", client.SaySecret(Header.Replace("198.51.100.7", "203.0.113.9", StringComparison.Ordinal)));
            client.SaySecret("a LOGIN user pass\r\n");
            Assert.Contains("Proxy-Protocol-Addr: 198.51.100.7\r\n", mail.Opened(0).TakeText(), StringComparison.Ordinal);
            client.Leave();
        }
    }

    private static SessionHarness Serve(MailProtocol protocol, bool proxyProtocol = false) =>
        new(settings => Dialects.Apply(settings, protocol), proxyProtocol: proxyProtocol);

    /// <summary>In clear there is nothing but the go-ahead; what is behind it is a TLS alert.</summary>
    private static void AssertOnlyGoAhead(Dialect dialect, string clear, string injection)
    {
        Assert.StartsWith(dialect.GoAhead, clear, StringComparison.Ordinal);
        string rest = clear[dialect.GoAhead.Length..];
        Assert.True(rest.Length == 0 || rest[0] == '\x15', $"behind \"{injection}\" came \"{rest}\"");
    }

    /// <summary>The victim's handshake: it fails, or what follows knows nothing of what was injected.</summary>
    private static void Meet(SessionHarness mail, Dialect dialect, HostileClient client)
    {
        if (!client.Near.Closed && !client.Near.EndSent && client.Handshake() == HandshakeOutcome.Completed)
        {
            Assert.Equal("", client.TakeSecret());
            Assert.Equal(dialect.MarkerReply, client.SaySecret(dialect.Marker));
        }

        // Nobody was signed in, nothing was sent to anyone.
        Assert.Empty(mail.Script.Kernel.Connected);
        Finish(mail, client);
    }

    private static void Finish(SessionHarness mail, HostileClient client)
    {
        client.Leave();
        mail.Script.Pass(130_000);
        Assert.Equal(0, mail.Script.Kernel.OpenSockets);
        Assert.Equal(0, mail.Script.Loop.Connections);
        Assert.Equal(0, mail.Script.Loop.Timers.Count);
        Assert.DoesNotContain("session failed", mail.Log(), StringComparison.Ordinal);
    }
}
