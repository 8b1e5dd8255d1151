using System.Globalization;
using CsCheck;
using Postern.Protocol.Http;
using Xunit;

namespace Postern.Protocol.Tests.Http;

public class AuthResponseParserTests
{
    private const string StatusLine = "HTTP/1.0 200 OK\r\n";

    [Theory]
    [InlineData("Auth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: 143\r\n", "Ok server=127.0.0.1 port=143")]
    [InlineData("Auth-Status: WAIT\r\nAuth-Wait: 5\r\n", "Wait wait=5")]
    [InlineData("Auth-Status: Bad things\r\n", "Refused(Bad things)")]
    [InlineData("Auth-Status: ok\r\n", "Refused(ok)")]
    [InlineData("Auth-Status: wait\r\n", "Refused(wait)")]
    [InlineData("Auth-Status:\r\n", "Refused()")]
    [InlineData("Auth-Status\r\n", "Refused()")]
    [InlineData("Auth-Status: OK x\r\n", "Refused(OK x)")]
    [InlineData("X-Other: 1\r\n", "None")]
    [InlineData("", "None")]
    // names without case, values to the letter
    [InlineData("aUTH-sTATUS: OK\nAUTH-USER: a@b\nauth-pass: P w\n", "Ok user=a@b pass=P w")]
    [InlineData("Auth-Statu: x\r\nAuth-Statuss: x\r\nXAuth-Status: x\r\n", "None")]
    // spaces: leading and trailing 0x20 go, inner ones and tabs stay
    [InlineData("Auth-User:u\r\nAuth-Pass:    p  q   \r\n", "None user=u pass=p  q")]
    [InlineData("Auth-User: \tu\t\r\n", "None user=\tu\t")]
    [InlineData("Auth-User:    \r\nAuth-Pass\n", "None user= pass=")]
    [InlineData("Auth-User: a:b\u00e9\u0001\r\n", "None user=a:b\u00e9\u0001")]
    // repeated headers
    [InlineData("Auth-Server: a\r\nAuth-Server: b\r\n", "None server=b")]
    [InlineData("Auth-Status: no\r\nAuth-Status: OK\r\n", "Refused(no)")]
    [InlineData("Auth-Status: no\r\nAuth-Status: WAIT\r\n", "Refused(no)")]
    [InlineData("Auth-Status: OK\r\nAuth-Status: no\r\n", "Refused(no)")]
    [InlineData("Auth-Status: one\r\nAuth-Status: two\r\n", "Refused(two)")]
    [InlineData("Auth-Status: OK\r\nAuth-Status: WAIT\r\n", "Wait")]
    [InlineData("Auth-Status: WAIT\r\nAuth-Status: OK\r\n", "Ok")]
    // numbers
    [InlineData("Auth-Wait: 0\r\n", "None wait=0")]
    [InlineData("Auth-Wait: x\r\n", "None")]
    [InlineData("Auth-Wait: -1\r\n", "None")]
    [InlineData("Auth-Wait:\r\n", "None")]
    [InlineData("Auth-Wait: 3x\r\n", "None")]
    [InlineData("Auth-Wait: 5\r\nAuth-Wait: x\r\n", "None wait=5")]
    [InlineData("Auth-Wait: 3000000000\r\n", "None wait=2147483647")]
    [InlineData("Auth-Wait: 99999999999999999999\r\n", "None")]
    [InlineData("Auth-Error-Code: 451 4.7.1\r\nAuth-Status: later\r\n", "Refused(later) code=451 4.7.1")]
    [InlineData("9name: x\r\n", "None")]
    // framing
    [InlineData("Content-Length: 12\r\nConnection: keep-alive\r\n", "None length=12 keep-alive")]
    [InlineData("Content-Length: 12\r\ncontent-length: 12\r\n", "None length=12")]
    [InlineData("Content-Length: 12\r\nContent-Length: 13\r\n", "None")]
    [InlineData("Content-Length: x\r\nContent-Length: 13\r\n", "None")]
    [InlineData("Content-Length: 12\r\nContent-Length: x\r\nContent-Length: 12\r\n", "None")]
    [InlineData("Content-Length: +1\r\n", "None")]
    [InlineData("Content-Length: 1, 1\r\n", "None")]
    [InlineData("Transfer-Encoding: chunked\r\nConnection: foo ,\tClose\r\n", "None chunked close")]
    [InlineData("Connection: closed, x-close\r\n", "None")]
    public void Parse_Headers_Cases(string headers, string expected)
    {
        AssertResponse(expected, headers + "\r\n");
        AssertResponse(expected, headers + "\n");
        AssertResponse(expected + " HTTP/1.0 200", StatusLine + headers + "\r\n");
    }

    [Theory]
    [InlineData("HTTP/1.1 500 Oops\r\n\r\n", "None HTTP/1.1 500")]
    [InlineData("HTTP/1.1 204\n\n", "None HTTP/1.1 204")]
    [InlineData("HTTP/1.12 200 OK\r\n\r\n", "None HTTP/1.1 0")]
    [InlineData("HTTP/2 200 OK\r\n\r\n", "None HTTP/1.-1 0")]
    [InlineData("HTTP/1.1 20 OK\r\n\r\n", "None HTTP/1.1 0")]
    [InlineData("HTTP/1.1 2000 OK\r\n\r\n", "None HTTP/1.1 0")]
    [InlineData("HTTP/garbage\u00ff\r\nAuth-Status: OK\r\n\r\n", "Ok HTTP/1.-1 0")]
    [InlineData("HTTP/\n\n", "None HTTP/1.-1 0")]
    [InlineData("HTTP: x\r\nAuth-Status: OK\r\n\r\n", "Ok")]
    [InlineData("H\r\n\r\n", "None")]
    [InlineData("HTXAuth: x\r\n\r\n", "None")]
    [InlineData("\r\n", "None")]
    [InlineData("\n", "None")]
    // malformed
    [InlineData("HTTP/1.0 200\rOK\r\n\r\n", "InvalidStatusLine")]
    [InlineData("Auth_Status: OK\r\n\r\n", "InvalidHeader")]
    [InlineData("Auth-Status : OK\r\n\r\n", "InvalidHeader")]
    [InlineData("-Auth: OK\r\n\r\n", "InvalidHeader")]
    [InlineData(": OK\r\n\r\n", "InvalidHeader")]
    [InlineData("Auth-Status: OK\r\n folded\r\n\r\n", "InvalidHeader")]
    [InlineData("Auth-Status: OK\rx\n\r\n", "InvalidHeader")]
    [InlineData("Auth-Status: OK\r\r\n\r\n", "InvalidHeader")]
    [InlineData("Auth-Status\rx", "InvalidHeader")]
    [InlineData("Auth-Status: OK\r\n\rx", "InvalidHeader")]
    [InlineData("H\u00e9: x\r\n\r\n", "InvalidHeader")]
    [InlineData("Auth-Status: no\0\r\n\r\n", "InvalidHeader")]
    [InlineData("Auth-Status: OK\r\nAuth-User: \0\r\n\r\n", "InvalidHeader")]
    // unfinished
    [InlineData("", "NeedMore")]
    [InlineData("HTTP", "NeedMore")]
    [InlineData("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n", "NeedMore")]
    [InlineData("Auth-Status: OK\r\n\r", "NeedMore")]
    public void Parse_Responses_Cases(string response, string expected) => AssertResponse(expected, response);

    [Fact]
    public void Parse_BodyBehindTheHeader_IsNotConsumed()
    {
        AuthResponseParser parser = new();
        Assert.Equal(AuthResponseResult.Complete, parser.Parse("A: b\r\n\r\nAuth-Status: OK\r\n\r\n"u8));
        Assert.Equal(8, parser.Consumed);
        Assert.Equal(AuthStatus.None, parser.Status);
    }

    [Theory]
    [InlineData(1023, "None")]
    [InlineData(1024, "None")]
    [InlineData(1025, "TooLong")]
    [InlineData(5000, "TooLong")]
    public void Parse_HeaderBlockSize_1024IsTheLimit(int size, string expected) =>
        AssertResponse(expected, "X: " + new string('x', size - 7) + "\r\n\r\n");

    [Fact]
    public void Parse_1024BytesWithoutBlankLine_TooLongAtOnce()
    {
        byte[] unfinished = Fragments.Bytes("X: " + new string('x', 1021));
        Assert.Equal(AuthResponseResult.TooLong, new AuthResponseParser().Parse(unfinished));
        Assert.Equal(AuthResponseResult.NeedMore, new AuthResponseParser().Parse(unfinished.AsSpan(0, 1023)));
    }

    [Fact]
    public void Parse_BigBody_DoesNotCount() => AssertResponse("Ok", "Auth-Status: OK\r\n\r\n" + new string('x', 3000));

    [Fact]
    public void Reset_ForgetsEverything()
    {
        AuthResponseParser parser = new();
        parser.Parse(Fragments.Bytes(StatusLine
            + "Auth-Status: no\r\nAuth-Pass: x\r\nAuth-Wait: 3\r\nAuth-User: u\r\nAuth-Error-Code: 5\r\nAuth-Server: s\r\nAuth-Port: 1\r\n"
            + "Content-Length: 1\r\nContent-Length: 2\r\nConnection: close, keep-alive\r\nTransfer-Encoding: x\r\n\r\n"));
        parser.Reset();
        Assert.Equal(AuthResponseResult.Complete, parser.Parse("Content-Length: 3\n\n"u8));
        Assert.Equal("None length=3", Describe(parser, []));
    }

    [Fact]
    public void Parse_ByteByByte_LooksAtEachByteOnce()
    {
        byte[] response = Fragments.Bytes(StatusLine + "Auth-Status: " + new string('x', 980) + "\r\n\r\n");
        AuthResponseParser parser = new();
        for (int length = 1; length <= response.Length; length++)
        {
            _ = parser.Parse(response.AsSpan(0, length));
        }

        Assert.Equal(response.Length, parser.Consumed);
        Assert.Equal(response.Length, parser.ExaminedBytes);
    }

    [Fact]
    public void Parse_AnyBytes_SameOutcomeHoweverSplit() =>
        Fragments.Mostly("HTTP/1.Auth-Status: OK\r\n\r\nAuth-Port: \n ").Array[0, 120].Sample(bytes =>
        {
            string whole = Play(bytes, [bytes.Length]);
            return Fragments.Ways(bytes.Length).All(growth => Play(bytes, growth) == whole);
        }, iter: Fragments.Samples);

    private static void AssertResponse(string expected, string response) => Fragments.AssertAll(expected, response, Play);

    private static string Play(byte[] response, IReadOnlyList<int> growth)
    {
        AuthResponseParser parser = new();
        AuthResponseResult result = AuthResponseResult.NeedMore;
        foreach (int length in growth)
        {
            byte[] buffer = response[..length];
            result = parser.Parse(buffer);
            if (result == AuthResponseResult.Complete)
            {
                return Describe(parser, buffer);
            }

            if (result != AuthResponseResult.NeedMore)
            {
                return result.ToString();
            }
        }

        return result.ToString();
    }

    private static string Describe(AuthResponseParser parser, byte[] buffer)
    {
        string Field(string name, ByteRange? range) => range is { } found ? $" {name}={Fragments.Text(found.In(buffer))}" : "";
        string message = parser.Message is { } text ? $"({Fragments.Text(text.In(buffer))})" : "";
        return parser.Status + message
            + Field("server", parser.Server) + Field("port", parser.Port) + Field("user", parser.User) + Field("pass", parser.Pass)
            + (parser.WaitSeconds is { } wait ? string.Create(CultureInfo.InvariantCulture, $" wait={wait}") : "")
            + Field("code", parser.ErrorCode)
            + (parser.ContentLength is { } length ? string.Create(CultureInfo.InvariantCulture, $" length={length}") : "")
            + (parser.HasTransferEncoding ? " chunked" : "")
            + (parser.ConnectionKeepAlive ? " keep-alive" : "")
            + (parser.ConnectionClose ? " close" : "")
            + (parser.HasStatusLine
                ? string.Create(CultureInfo.InvariantCulture, $" HTTP/1.{parser.HttpMinorVersion} {parser.StatusCode}")
                : "");
    }
}
