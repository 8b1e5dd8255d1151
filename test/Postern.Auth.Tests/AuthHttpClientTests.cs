using System.Text;
using Postern.Interop;
using Postern.Net;
using Postern.Net.Tests.Scripted;
using Xunit;

namespace Postern.Auth.Tests;

/// <summary>The auth_http dialogue on scripted connections (mail-proxy section 4).</summary>
public sealed class AuthHttpClientTests : IDisposable
{
    private const string Accepted = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.9\r\nAuth-Port: 143\r\n\r\n";

    private readonly AuthHarness _auth = new();

    private ScriptedLoop Script => _auth.Script;

    public void Dispose() => _auth.Dispose();

    [Fact]
    public void Request_HeadersInOrder_InOneSend()
    {
        using var auth = new AuthHarness(AuthHarness.Settings with { Headers = [new("X-Auth-Port", "143"), new("X-Auth-Key", "s3cret")] });
        string request = auth.Exchange(0, Accepted);
        Assert.Equal(
            "GET /auth HTTP/1.0\r\nHost: auth.example.test\r\nAuth-Method: plain\r\nAuth-User: user\r\nAuth-Pass: secret\r\n"
            + "Auth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: 192.0.2.55\r\nX-Auth-Port: 143\r\nX-Auth-Key: s3cret\r\n"
            + "Connection: keep-alive\r\n\r\n",
            request);
        Assert.Single(auth.Server(0).Sends);
        Assert.Equal("127.0.0.1:9000", auth.Script.Kernel.ConnectedTo[0].ToString());
    }

    [Fact]
    public void Request_LoginAndPasswordOfAnyBytes_Escaped()
    {
        _auth.Credentials = AuthHarness.Plain("a b\r\nX: y%", "\0\u0020\u007f\u00ff");
        string request = _auth.Exchange(0, Accepted);
        Assert.Contains("\r\nAuth-User: a%20b%0D%0AX:%20y%25\r\nAuth-Pass: %00%20\u007f\u00ff\r\n", request, StringComparison.Ordinal);
    }

    [Fact]
    public void Request_CramMd5_SaltBehindTheDigest()
    {
        _auth.Credentials = new Credentials(AuthMethod.CramMd5, "u"u8.ToArray(), "digest"u8.ToArray(), "<1.2@mx>"u8.ToArray());
        string request = _auth.Exchange(0, Accepted.Replace("\r\n\r\n", "\r\nAuth-Pass: real\r\n\r\n", StringComparison.Ordinal));
        Assert.Contains("Auth-Method: cram-md5\r\nAuth-User: u\r\nAuth-Pass: digest\r\nAuth-Salt: <1.2@mx>\r\n", request, StringComparison.Ordinal);
        Assert.Equal("real"u8.ToArray(), _auth.Credentials.Password);
    }

    [Fact]
    public void Accepted_AddressUserAndPasswordTaken()
    {
        _auth.Exchange(0, Accepted.Replace("\r\n\r\n", "\r\nAuth-User: other\r\nAuth-Pass: new\r\n\r\n", StringComparison.Ordinal));
        var accepted = Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
        Assert.Equal("10.0.0.9:143", accepted.Upstream.ToString());
        Assert.Equal("other"u8.ToArray(), _auth.Credentials.Login);
        Assert.Equal("other"u8.ToArray(), _auth.Context.Login);
        Assert.Equal("new"u8.ToArray(), _auth.Credentials.Password);
        Assert.True(_auth.Server(0).Closed); // no Content-Length, no keep-alive
        Assert.Empty(_auth.Log());
        Assert.Equal(0, Script.Loop.Timers.Count);
    }

    [Fact]
    public void Response_OneByteAtATime_Accepted()
    {
        _auth.Ask();
        foreach (char ch in Accepted)
        {
            Assert.Null(_auth.Decision);
            _auth.Server(0).Arrive(ch.ToString());
            Script.Settle();
        }

        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("body", true)]
    [InlineData("a longer body of the response", true)]
    public void KeepAlive_BodyInTheSameSegment_ConnectionIsReused(string body, bool reused)
    {
        _auth.Exchange(0, KeepAlive(body.Length) + body);
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
        _auth.Exchange(0, KeepAlive(0));
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
        Assert.Equal(reused, Script.Kernel.Connected.Count == 1);
    }

    [Fact]
    public void KeepAlive_BodyInLaterSegments_ConnectionIsReusedOnceItIsThere()
    {
        _auth.Exchange(0, KeepAlive(8));
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
        _auth.Exchange(1, KeepAlive(0)); // the first is not free yet
        _auth.Server(0).Arrive("four");
        Script.Settle();
        _auth.Server(0).Arrive("more");
        Script.Settle();
        _auth.Exchange(0, KeepAlive(0));
        _auth.Exchange(0, KeepAlive(0));
        Assert.Equal(2, Script.Kernel.Connected.Count);
        Assert.Empty(_auth.Log());
    }

    [Theory]
    [InlineData("Content-Length: 4\r\nConnection: close", "body")]
    [InlineData("Content-Length: 4\r\nConnection: keep-alive, close", "body")]
    [InlineData("Content-Length: 4", "body")]
    [InlineData("Connection: keep-alive", "")]
    [InlineData("Connection: keep-alive\r\nTransfer-Encoding: chunked", "0\r\n\r\n")]
    [InlineData("Connection: keep-alive\r\nContent-Length: 2", "more than announced")]
    [InlineData("Connection: keep-alive\r\nContent-Length: 70000", "")]
    [InlineData("Connection: keep-alive\r\nContent-Length: 2\r\nContent-Length: 3", "abc")]
    public void KeepAlive_LengthUnknownOrRefused_ConnectionIsClosed(string headers, string body)
    {
        _auth.Exchange(0, Accepted.Replace("\r\n\r\n", $"\r\n{headers}\r\n\r\n", StringComparison.Ordinal) + body);
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
        Assert.True(_auth.Server(0).Closed);
    }

    [Fact]
    public void KeepAlive_BodyIsLongerThanAnnouncedInALaterSegment_ConnectionIsClosed()
    {
        _auth.Exchange(0, KeepAlive(4));
        _auth.Server(0).Arrive("four and more");
        Script.Settle();
        Assert.True(_auth.Server(0).Closed);
    }

    [Fact]
    public void KeepAlive_BodyNeverComes_ConnectionIsClosedAfterAWhile()
    {
        _auth.Exchange(0, KeepAlive(4));
        Script.Pass(5100);
        Assert.True(_auth.Server(0).Closed);
        Assert.Equal(1, Script.Loop.Connections);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Reuse_ServerClosedMeanwhile_FreshConnectionAndNoComplaint(bool beforeTheRequest)
    {
        _auth.Exchange(0, KeepAlive(0));
        if (beforeTheRequest)
        {
            _auth.Server(0).ArriveEnd();
            Script.Settle();
            Assert.True(_auth.Server(0).Closed);
        }

        _auth.Ask();
        if (!beforeTheRequest)
        {
            _auth.Server(0).ArriveEnd();
            Script.Settle();
        }

        _auth.Server(1).Arrive(Accepted);
        Script.Settle();
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
        Assert.Empty(_auth.Log());
    }

    [Theory]
    [InlineData(Libc.ECONNRESET)]
    [InlineData(Libc.EPIPE)]
    public void Reuse_ResetBeforeAnswering_RetriedOnceOnly(int errno)
    {
        _auth.Exchange(0, KeepAlive(0));
        _auth.Exchange(0, KeepAlive(0));
        _auth.Ask();
        _auth.Server(0).Fail(errno);
        Script.Settle();
        Assert.Null(_auth.Decision);
        Assert.Contains("Auth-User: user", _auth.Server(1).TakeText(), StringComparison.Ordinal);
        _auth.Server(1).ArriveEnd();
        Script.Settle();
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(2, Script.Kernel.Connected.Count);
    }

    [Fact]
    public void Reuse_CutInTheMiddleOfAnAnswer_NotRetried()
    {
        _auth.Exchange(0, KeepAlive(0));
        _auth.Ask();
        _auth.Server(0).Arrive("HTTP/1.0 200 OK\r\nAuth-");
        _auth.Server(0).ArriveEnd();
        Script.Settle();
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Single(Script.Kernel.Connected);
    }

    [Fact]
    public void Reuse_RetryDoesNotStartTheTimeAnew()
    {
        _auth.Exchange(0, KeepAlive(0));
        _auth.Ask();
        Script.Pass(50_000);
        _auth.Server(0).ArriveEnd();
        Script.Pass(9_000);
        Assert.Null(_auth.Decision);
        Script.Pass(1_100);
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(["[error] auth http server 127.0.0.1:9000 timed out (110: Connection timed out)"], _auth.Log());
    }

    [Fact]
    public void Reuse_UnaskedBytesWhileIdle_ConnectionIsClosed()
    {
        _auth.Exchange(0, KeepAlive(0));
        _auth.Server(0).Arrive("HTTP/1.0 408 Request Timeout\r\n\r\n");
        Script.Settle();
        Assert.True(_auth.Server(0).Closed);
        Assert.Equal(1, Script.Loop.Connections);
    }

    [Fact]
    public void Idle_NotUsedForAMinute_ConnectionIsClosed()
    {
        _auth.Exchange(0, KeepAlive(0));
        Script.Pass(50_000);
        _auth.Exchange(0, KeepAlive(0)); // used: the minute starts anew
        Script.Pass(59_000);
        Assert.False(_auth.Server(0).Closed);
        Script.Pass(1_100);
        Assert.True(_auth.Server(0).Closed);
        Assert.Equal(0, Script.Loop.Timers.Count);
        _auth.Exchange(1, KeepAlive(0));
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
    }

    [Fact]
    public void BeginDraining_IdleConnections_DoNotKeepTheLoop()
    {
        _auth.Exchange(0, KeepAlive(0));
        _auth.Client.Close();
        Script.Loop.BeginDraining();
        Assert.Equal(0, Script.Loop.Connections);
        Assert.True(_auth.Server(0).Closed);
    }

    [Fact]
    public void PlacesWanted_IdleConnectionsAreGivenUp()
    {
        using var auth = new AuthHarness(maxConnections: 2);
        auth.Exchange(0, KeepAlive(0));
        Assert.Equal(2, auth.Script.Loop.Connections);
        auth.Script.Accept();
        Assert.True(auth.Server(0).Closed);
    }

    [Fact]
    public void Timeout_WholeExchange_PartialDataDoesNotRestartIt()
    {
        Script.Kernel.ConnectsAtOnce = false;
        _auth.Ask();
        Script.Pass(30_000);
        _auth.Server(0).Establish();
        Script.Settle();
        _auth.Server(0).Arrive("HTTP/1.0 200 OK\r\n");
        Script.Pass(29_000);
        Assert.Null(_auth.Decision);
        Script.Pass(1_100);
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(["[error] auth http server 127.0.0.1:9000 timed out (110: Connection timed out)"], _auth.Log());
        Assert.True(_auth.Server(0).Closed);
    }

    [Fact]
    public void Refused_MessageWaitAndCode()
    {
        _auth.Exchange(0, "HTTP/1.0 200 OK\r\nAuth-Status: Invalid login or password\r\nAuth-Wait: 3\r\nAuth-Error-Code: 535 5.7.8\r\n\r\n");
        var refused = Assert.IsType<AuthDecision.Refused>(_auth.Decision);
        Assert.Equal("Invalid login or password"u8.ToArray(), refused.Message);
        Assert.Equal(3, refused.WaitSeconds);
        Assert.Equal("535 5.7.8"u8.ToArray(), refused.ErrorCode);
        Assert.Equal(["[info] client login failed: \"Invalid login or password\""], _auth.Log());
    }

    [Fact]
    public void Response_ExactlyTheLimit_AcceptedAndOneMoreIsTooLong()
    {
        string filler = new('x', 1024 - Accepted.Length - "X: \r\n".Length);
        string exact = Accepted.Replace("\r\n\r\n", $"\r\nX: {filler}\r\n\r\n", StringComparison.Ordinal);
        Assert.Equal(1024, exact.Length);
        _auth.Exchange(0, exact);
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
        _auth.Exchange(1, exact.Replace("X: ", "X: y", StringComparison.Ordinal));
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(["[error] auth http server 127.0.0.1:9000 sent too long response"], _auth.Log());
    }

    [Theory]
    [InlineData("HTTP/1.0 200 OK\r\nAuth_Status: OK\r\n\r\n", "sent invalid header in response")]
    [InlineData("HTTP/1.0 200\rOK\r\n\r\n", "sent invalid response")]
    [InlineData("HTTP/1.0 200 OK\r\n\r\n", "did not send Auth-Status")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 1.2.3.4\r\n\r\n", "did not send server or port")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Port: 143\r\n\r\n", "did not send server or port")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: mail.test\r\nAuth-Port: 143\r\n\r\n", "sent invalid server address:\"mail.test\"")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: [::1]\r\nAuth-Port: 143\r\n\r\n", "sent invalid server address:\"[::1]\"")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: ::1\r\nAuth-Port: 0\r\n\r\n", "sent invalid server port:\"0\"")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: ::1\r\nAuth-Port: 65536\r\n\r\n", "sent invalid server port:\"65536\"")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: ::1\r\nAuth-Port: \r\n\r\n", "did not send server or port")]
    public void Failure_Response_LoggedAndFailed(string response, string message)
    {
        _auth.Exchange(0, response);
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal([$"[error] auth http server 127.0.0.1:9000 {message}"], _auth.Log());
        Assert.True(_auth.Server(0).Closed);
    }

    [Fact]
    public void Failure_NoPassword_CramMd5NeedsOneFromTheServer()
    {
        _auth.Credentials = new Credentials(AuthMethod.CramMd5, "u"u8.ToArray(), "d"u8.ToArray(), "<s>"u8.ToArray());
        _auth.Exchange(0, Accepted);
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(["[error] auth http server 127.0.0.1:9000 did not send password"], _auth.Log());
    }

    [Fact]
    public void Failure_EndTogetherWithIncompleteAnswer_FailsAtOnce()
    {
        _auth.Ask();
        _auth.Server(0).Arrive("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n");
        _auth.Server(0).ArriveEnd();
        Script.Settle();
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(["[error] auth http server 127.0.0.1:9000 closed the connection before the end of its response"], _auth.Log());
    }

    [Fact]
    public void Failure_CompleteAnswerTogetherWithEnd_Accepted()
    {
        _auth.Ask();
        _auth.Server(0).Arrive(Accepted);
        _auth.Server(0).ArriveEnd();
        Script.Settle();
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
    }

    [Fact]
    public void Failure_ConnectionRefused_ErrnoIsLogged()
    {
        Script.Kernel.ConnectsAtOnce = false;
        _auth.Ask();
        _auth.Server(0).Fail(Libc.ECONNREFUSED);
        Script.Settle();
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(["[error] recv() failed (111: Connection refused)"], _auth.Log());
    }

    [Theory]
    [InlineData(Libc.ENOENT, "[crit] connect() to 127.0.0.1:9000 failed (2: No such file or directory)")]
    [InlineData(Libc.ECONNREFUSED, "[error] connect() to 127.0.0.1:9000 failed (111: Connection refused)")]
    public void Failure_ConnectFailsAtOnce_Logged(int errno, string line)
    {
        Script.Kernel.ConnectError = errno;
        _auth.Ask();
        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal([line], _auth.Log());
    }

    [Fact]
    public void Failure_NoPlaceInTheLoop_Logged()
    {
        using var auth = new AuthHarness(maxConnections: 1);
        auth.Ask();
        Assert.IsType<AuthDecision.Failed>(auth.Decision);
        Assert.Equal(["[alert] 1 worker_connections are not enough"], auth.Log());
    }

    [Fact]
    public void Wait_AskedAgainAfterTheTime_SameAttemptAndNewCredentials()
    {
        _auth.Exchange(0, "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 5\r\nAuth-User: other\r\n\r\n");
        Script.Pass(4900);
        Assert.Single(Script.Kernel.Connected);
        Script.Pass(200);
        string again = _auth.Server(1).TakeText();
        Assert.Contains("Auth-User: other\r\nAuth-Pass: secret\r\n", again, StringComparison.Ordinal);
        Assert.Contains("Auth-Login-Attempt: 1\r\n", again, StringComparison.Ordinal);
        _auth.Server(1).Arrive(Accepted);
        Script.Settle();
        Assert.IsType<AuthDecision.Accepted>(_auth.Decision);
    }

    [Fact]
    public void Wait_CramMd5_DigestIsKept()
    {
        _auth.Credentials = new Credentials(AuthMethod.CramMd5, "u"u8.ToArray(), "digest"u8.ToArray(), "<s>"u8.ToArray());
        _auth.Exchange(0, "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 1\r\nAuth-Pass: real\r\n\r\n");
        Script.Pass(1100);
        Assert.Contains("Auth-Pass: digest\r\nAuth-Salt: <s>\r\n", _auth.Server(1).TakeText(), StringComparison.Ordinal);
    }

    [Fact]
    public void Wait_WithoutTimeAndForEver_PausesAndGivesUp()
    {
        _auth.Ask();
        for (int i = 0; _auth.Decision is null && i < 30; i++)
        {
            Assert.Equal(i + 1, Script.Kernel.Connected.Count);
            _auth.Server(i).Arrive("HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\n\r\n");
            Script.Pass(1100);
        }

        Assert.IsType<AuthDecision.Failed>(_auth.Decision);
        Assert.Equal(11, Script.Kernel.Connected.Count);
        Assert.Equal(["[error] auth http server 127.0.0.1:9000 answered WAIT too often"], _auth.Log());
    }

    [Fact]
    public void Wait_GracefulStopIsOver_EndsWithTheClient()
    {
        using var auth = new AuthHarness();
        auth.Exchange(0, "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 3600\r\n\r\n");
        auth.Script.Loop.ShutDownRemaining();
        Assert.Equal(ConnectionEnd.ShutdownTimeout, auth.Ended!.End);
        Assert.Equal(0, auth.Script.Loop.Timers.Count);
    }

    [Fact]
    public void Dispose_SecretsAreWiped()
    {
        byte[] password = Encoding.ASCII.GetBytes("secret");
        var credentials = new Credentials(AuthMethod.Plain, "u"u8.ToArray(), password, []);
        Assert.DoesNotContain("secret", credentials.ToString(), StringComparison.Ordinal);
        credentials.Dispose();
        Assert.All(password, value => Assert.Equal(0, value));
    }

    private static string KeepAlive(int length) =>
        Accepted.Replace("\r\n\r\n", $"\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n", StringComparison.Ordinal);
}
