using System.Text;
using System.Text.RegularExpressions;
using Postern.Interop;
using Postern.Net.Tests.Scripted;
using Postern.TestKit.Hostile;
using Xunit;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>
/// A sign-in is cut at every byte that auth server and backend say, by each of the three peers, in each way a peer can fail. The client
/// hears a temporary error or nothing, never of a wrong password, and nothing is left behind.
/// </summary>
public sealed partial class FaultTests
{
    private const string AuthReply = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.9\r\nAuth-Port: 143\r\n\r\n";

    /// <summary>More than <c>timeout</c> and <c>auth_http_timeout</c> together.</summary>
    private const long LongMilliseconds = 130_000;

    public enum Fault
    {
        Close,
        Reset,
        Stall,
    }

    public static TheoryData<MailProtocol> Protocols => StartTlsTests.Protocols;

    public static TheoryData<MailProtocol, Fault> Faults => [.. Protocols.SelectMany(row => Enum.GetValues<Fault>().Select(fault => (row.Data, fault)))];

    /// <summary>The auth server fails: closes, resets, stalls.</summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public void AuthServer_AtEveryByteOfItsReply_InternalErrorLoggedAndNothingLeft(MailProtocol protocol, Fault fault)
    {
        Dialect dialect = Dialects.Of(protocol);
        for (int sent = 0; sent < AuthReply.Length; sent++)
        {
            using var scene = new Scene(dialect);
            scene.SignIn();
            scene.Mail.Say(scene.Mail.Opened(0), AuthReply[..sent]);
            scene.Break(scene.Mail.Opened(0), fault);
            scene.AssertInternalError();
            string expected = fault switch
            {
                Fault.Close => "closed the connection before the end of its response while in http auth state",
                Fault.Reset => "recv() failed (104: Connection reset by peer) while in http auth state",
                _ => "timed out (110: Connection timed out) while in http auth state",
            };
            scene.AssertLogged("[error]", expected);
            scene.AssertNothingLeft();
        }
    }

    /// <summary>The backend fails: closes, resets, stalls, at every byte of each of its replies.</summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public void Backend_AtEveryByteOfEachReply_InternalErrorLoggedAndNothingLeft(MailProtocol protocol, Fault fault)
    {
        Dialect dialect = Dialects.Of(protocol);
        for (int step = 0; step < dialect.BackendReplies.Count; step++)
        {
            for (int sent = 0; sent < dialect.BackendReplies[step].Length; sent++)
            {
                using var scene = new Scene(dialect);
                scene.Reach(step, sent);
                scene.Break(scene.Mail.Opened(1), fault);
                scene.AssertInternalError();
                (string level, string expected) = fault switch
                {
                    Fault.Close => ("[error]", "upstream closed the connection while "),
                    Fault.Reset => ("[error]", "recv() failed (104: Connection reset by peer) while "),
                    _ => ("[info]", "upstream timed out (110: Connection timed out) while "),
                };
                scene.AssertLogged(level, expected);
                scene.AssertNothingLeft();
            }
        }
    }

    /// <summary>The client fails while auth server or backend are being asked: both are let go.</summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public void Client_AtEveryByteOfEachReply_NothingLeft(MailProtocol protocol, Fault fault)
    {
        Dialect dialect = Dialects.Of(protocol);
        for (int sent = 0; sent < AuthReply.Length; sent++)
        {
            using var scene = new Scene(dialect);
            scene.SignIn();
            scene.Mail.Say(scene.Mail.Opened(0), AuthReply[..sent]);
            scene.Break(scene.Client, fault);
            scene.Mail.Say(scene.Mail.Opened(0), AuthReply[sent..]);
            scene.AssertNothingLeft();
        }

        for (int step = 0; step < dialect.BackendReplies.Count; step++)
        {
            for (int sent = 0; sent < dialect.BackendReplies[step].Length; sent++)
            {
                using var scene = new Scene(dialect);
                scene.Reach(step, sent);
                scene.Break(scene.Client, fault);
                if (fault != Fault.Stall)
                {
                    Assert.True(scene.Mail.Opened(1).Closed, $"step {step} byte {sent}: the backend is still held");
                }

                scene.AssertNothingLeft();
            }
        }
    }

    /// <summary>The client leaves at every byte of what it says itself.</summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public void Client_AtEveryByteOfItsSignIn_NothingLeft(MailProtocol protocol, Fault fault)
    {
        Dialect dialect = Dialects.Of(protocol);
        for (int sent = 0; sent <= dialect.SignIn.Length; sent++)
        {
            using var scene = new Scene(dialect);
            scene.Mail.Say(scene.Client, dialect.SignIn[..sent]);
            scene.Break(scene.Client, fault);
            scene.AssertNothingLeft();
        }
    }

    /// <summary>
    /// Dovecot CVE-2017-15132, CVE-2019-11494, CVE-2019-11499: the client leaves in the middle of each SASL exchange, at every byte.
    /// </summary>
    [Theory]
    [MemberData(nameof(Faults))]
    public void Client_AtEveryByteOfEachSaslExchange_NothingLeft(MailProtocol protocol, Fault fault)
    {
        Dialect dialect = Dialects.Of(protocol);
        string auth = protocol switch { MailProtocol.Imap => "a AUTHENTICATE ", _ => "AUTH " };
        foreach (string exchange in (string[])["PLAIN\r\nAHUAcA==\r\n", "LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n", "CRAM-MD5\r\ndSAxMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMQ==\r\n", "EXTERNAL\r\ndXNlcg==\r\n"])
        {
            string all = auth + exchange;
            for (int sent = 0; sent <= all.Length; sent++)
            {
                using var scene = new Scene(dialect);
                scene.Mail.Say(scene.Client, all[..sent]);
                scene.Break(scene.Client, fault);
                scene.AssertNothingLeft();
            }
        }
    }

    /// <summary>Rubbish in place of the rest of a reply: no success, one well-formed line, and nothing left.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void AuthServer_GarbageAtEveryByte_NoSuccessAndOneLine(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string garbage in Troublemakers.Garbage)
        {
            for (int sent = 0; sent < AuthReply.Length; sent++)
            {
                string reply = AuthReply[..sent] + garbage;
                if (WholeReply().IsMatch(reply))
                {
                    continue; // what came before it makes sense of it
                }

                using var scene = new Scene(dialect);
                scene.SignIn();
                scene.Mail.Say(scene.Mail.Opened(0), reply);
                if (!scene.Mail.Opened(0).Closed)
                {
                    scene.Mail.Opened(0).ArriveEnd();
                    scene.Mail.Script.Settle();
                }

                scene.AssertNoSuccess($"auth byte {sent}");
                scene.AssertNothingLeft();
            }
        }
    }

    /// <summary>The same from a backend, at every byte of each reply.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Backend_GarbageAtEveryByteOfEachReply_NoSuccessAndNothingLeft(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        foreach (string garbage in Troublemakers.Garbage)
        {
            for (int step = 0; step < dialect.BackendReplies.Count; step++)
            {
                // Once the status is said the rest of a line is the backend's own text, which is not judged.
                for (int sent = 0; sent < 3; sent++)
                {
                    using var scene = new Scene(dialect);
                    scene.Reach(step, sent);
                    scene.Mail.Say(scene.Mail.Opened(1), garbage);
                    if (!scene.Mail.Opened(1).Closed)
                    {
                        scene.Mail.Opened(1).ArriveEnd();
                        scene.Mail.Script.Settle();
                    }

                    scene.AssertNoSuccess($"step {step} byte {sent}");
                    scene.AssertNothingLeft();
                }
            }
        }
    }

    /// <summary>Every reply in pieces of one byte is as good as a whole one.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Replies_ByteByByte_SignInSucceeds(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        using var scene = new Scene(dialect);
        scene.SignIn();
        foreach (char ch in AuthReply)
        {
            scene.Mail.Say(scene.Mail.Opened(0), ch.ToString());
        }

        foreach (char ch in string.Concat(dialect.BackendReplies))
        {
            scene.Mail.Say(scene.Mail.Opened(1), ch.ToString());
        }

        Assert.StartsWith(dialect.Joined, scene.Client.TakeText(), StringComparison.Ordinal);
        scene.Mail.Say(scene.Client, "hello\r\n");
        Assert.EndsWith("hello\r\n", scene.Mail.Opened(1).TakeText(), StringComparison.Ordinal);
        scene.Mail.Opened(1).ArriveEnd();
        scene.AssertNothingLeft();
    }

    /// <summary>nginx CVE-2026-27651: after a refusal every mechanism can be tried again, and its answer is judged by its own challenge.</summary>
    [Theory]
    [MemberData(nameof(Protocols))]
    public void Retry_AfterRefusal_WithEveryPairOfMechanisms(MailProtocol protocol)
    {
        Dialect dialect = Dialects.Of(protocol);
        string auth = protocol == MailProtocol.Imap ? "a AUTHENTICATE " : "AUTH ";
        string digest = Convert.ToBase64String(Encoding.ASCII.GetBytes("user " + new string('1', 32)));
        List<(string Method, string Commands)> mechanisms =
        [
            ("plain", auth + "PLAIN AHVzZXIAcGFzcw==\r\n"), ("plain", auth + "PLAIN\r\nAHVzZXIAcGFzcw==\r\n"),
            ("plain", auth + "LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n"), ("cram-md5", auth + "CRAM-MD5\r\n" + digest + "\r\n"),
            ("external", auth + "EXTERNAL dXNlcg==\r\n"), ("plain", dialect.SignIn),
        ];
        if (protocol == MailProtocol.Pop3)
        {
            mechanisms.Add(("apop", "APOP user " + new string('1', 32) + "\r\n"));
        }

        foreach ((string Method, string Commands) first in mechanisms)
        {
            foreach ((string Method, string Commands) second in mechanisms)
            {
                using var scene = new Scene(dialect);
                string salt = "";
                int attempt = 0;
                foreach ((string method, string commands) in (IEnumerable<(string, string)>)[first, second, first])
                {
                    foreach (string line in commands.Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
                    {
                        scene.Mail.Say(scene.Client, line + "\r\n");
                    }

                    scene.Client.TakeText();
                    ScriptedSocket server = scene.Mail.Opened(attempt++);
                    string request = server.TakeText();
                    Assert.Contains($"Auth-Method: {method}\r\nAuth-User: user\r\n", request, StringComparison.Ordinal);
                    Assert.Contains($"Auth-Login-Attempt: {attempt}\r\n", request, StringComparison.Ordinal);
                    if (method == "cram-md5")
                    {
                        string used = request.Split('\n').Single(line => line.StartsWith("Auth-Salt: ", StringComparison.Ordinal));
                        Assert.NotEqual(salt, used);
                        salt = used;
                    }

                    scene.Mail.Say(server, "HTTP/1.0 200 OK\r\nAuth-Status: no\r\nAuth-Wait: 1\r\n\r\n");
                    scene.Mail.Script.Pass(1_100);
                    Assert.Contains("no\r\n", scene.Client.TakeText(), StringComparison.Ordinal);
                }

                scene.Client.ArriveEnd();
                scene.AssertNothingLeft();
            }
        }
    }

    [GeneratedRegex("\nAuth-Port: [0-9]+\r?\n\r?\n")]
    private static partial Regex WholeReply();

    /// <summary>One sign-in on a scripted kernel.</summary>
    private sealed class Scene : IDisposable
    {
        private readonly Dialect _dialect;
        private readonly List<bool> _judged = [];

        public Scene(Dialect dialect)
        {
            _dialect = dialect;
            Mail = new SessionHarness(settings => Dialects.Apply(settings, Enum.Parse<MailProtocol>(dialect.Protocol, ignoreCase: true)), observer: notice => _judged.Add(notice.Accepted));
            Client = Mail.Connect();
            Assert.StartsWith(dialect.Greeting, Client.TakeText(), StringComparison.Ordinal);
        }

        public SessionHarness Mail { get; }

        public ScriptedSocket Client { get; }

        public void Dispose() => Mail.Dispose();

        public void SignIn()
        {
            Mail.Say(Client, _dialect.SignIn);
            Assert.Equal(_dialect.SignInPrompts, Client.TakeText());
        }

        /// <summary>Signs in and lets the backend say so many replies and bytes of the next.</summary>
        public void Reach(int step, int sent)
        {
            SignIn();
            Mail.Say(Mail.Opened(0), AuthReply);
            for (int i = 0; i < step; i++)
            {
                Mail.Say(Mail.Opened(1), _dialect.BackendReplies[i]);
            }

            Mail.Say(Mail.Opened(1), _dialect.BackendReplies[step][..sent]);
        }

        public void Break(ScriptedSocket socket, Fault fault)
        {
            switch (fault)
            {
                case Fault.Close:
                    socket.ArriveEnd();
                    break;
                case Fault.Reset:
                    socket.Fail(Libc.ECONNRESET);
                    break;
                default:
                    Mail.Script.Pass(LongMilliseconds);
                    break;
            }

            Mail.Script.Settle();
        }

        /// <summary>The temporary error and the end; the outage was not taken for a wrong password.</summary>
        public void AssertInternalError()
        {
            Assert.Equal(_dialect.InternalError, Client.TakeText());
            Assert.True(Client.EndSent, "the client is still served");
            Assert.Empty(_judged);
            Assert.DoesNotContain("client login failed", Mail.Log(), StringComparison.Ordinal);
        }

        public void AssertNoSuccess(string where)
        {
            string reply = Client.TakeText();
            Assert.False(reply.StartsWith(_dialect.Joined, StringComparison.Ordinal), $"{where}: joined");
            Assert.True(
                reply == _dialect.InternalError || reply.StartsWith(_dialect.RefusedStart, StringComparison.Ordinal), $"{where}: \"{reply}\"");
            Assert.True(reply.EndsWith("\r\n", StringComparison.Ordinal), $"{where}: \"{reply}\"");
            Assert.True(reply.AsSpan(0, reply.Length - 2).IndexOfAny('\r', '\n', '\0') < 0, $"{where}: \"{reply}\"");
            Assert.True(Client.EndSent, $"{where}: the client is still served");
            Assert.DoesNotContain(true, _judged);
        }

        public void AssertLogged(string level, string text)
        {
            string log = Mail.Log();
            Assert.True(
                log.Split('\n').Any(line => line.Contains(level, StringComparison.Ordinal) && line.Contains(text, StringComparison.Ordinal)), log);
        }

        /// <summary>No socket, no place, no timer, once the other ends have gone, too.</summary>
        public void AssertNothingLeft()
        {
            foreach (ScriptedSocket socket in Mail.Script.Kernel.Connected.Append(Client).Where(socket => !socket.Closed && !socket.EndArrived).ToList())
            {
                socket.ArriveEnd();
            }

            Mail.Script.Pass(LongMilliseconds);
            Assert.Equal(0, Mail.Script.Kernel.OpenSockets);
            Assert.Equal(0, Mail.Script.Loop.Connections);
            Assert.Equal(0, Mail.Script.Loop.Timers.Count);
            string log = Mail.Log();
            Assert.DoesNotContain("session failed", log, StringComparison.Ordinal);
            Assert.DoesNotContain("pass", log.Replace("password", "", StringComparison.Ordinal), StringComparison.Ordinal);
        }
    }
}
