using System.Text;
using Xunit;

namespace Postern.Logging.Tests;

public class SessionLogContextTests
{
    [Fact]
    public void AppendTail_FewFacts()
    {
        SessionLogContext context = Context();
        Assert.Equal("*7 client timed out, client: 127.0.0.1, server: 127.0.0.1:143", Line("client timed out", context));
        context.Action = LogActions.Auth;
        Assert.Equal("*7 x while in auth state, client: 127.0.0.1, server: 127.0.0.1:143", Line("x", context));
    }

    [Fact]
    public void AppendTail_AllFacts_AsTheReferencesLines()
    {
        SessionLogContext context = Context();
        context.Action = LogActions.HttpAuth;
        context.UsingStartTls = true;
        context.Login = "u"u8.ToArray();
        context.Upstream = "::1:27144";
        Assert.Equal(
            "*7 client login failed: \"nope\" while in http auth state, client: 127.0.0.1 using starttls, server: 127.0.0.1:143, "
            + "login: \"u\", upstream: ::1:27144",
            Line("client login failed: \"nope\"", context));
        Assert.Equal(
            "*7 client logged in, client: 127.0.0.1 using starttls, server: 127.0.0.1:143, login: \"u\", upstream: ::1:27144",
            Line("client logged in", context, withAction: false));
    }

    [Fact]
    public void AppendTail_UpstreamWithoutLogin_IsShown()
    {
        // N-46: method none
        SessionLogContext context = Context();
        context.Login = [];
        context.Upstream = "10.0.0.1:25";
        Assert.Equal("*7 x, client: 127.0.0.1, server: 127.0.0.1:143, upstream: 10.0.0.1:25", Line("x", context));
    }

    [Fact]
    public void AppendTail_HostileLogin_StaysOnOneLine()
    {
        //
        SessionLogContext context = Context();
        context.Login = "u\"\r\n2026/11/22 [info] forged"u8.ToArray();
        context.Upstream = "x\n";
        Assert.Equal(
            "*7 x, client: 127.0.0.1, server: 127.0.0.1:143, login: \"u\\x22\\x0D\\x0A2026/11/22 [info] forged\", upstream: x\\x0A",
            Line("x", context));
    }

    private static SessionLogContext Context() => new() { Log = ErrorLog.None, ConnectionNumber = 7, Client = "127.0.0.1", Server = "127.0.0.1:143" };

    private static string Line(string message, SessionLogContext context, bool withAction = true)
    {
        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        line.Append(message);
        context.AppendTail(ref line, withAction);
        return Encoding.Latin1.GetString(line.Written);
    }
}
