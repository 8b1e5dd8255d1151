using Postern.Protocol;
using Postern.Protocol.Http;

namespace Postern.Fuzz.Targets;

/// <summary>Responses of an auth server; whole and byte by byte.</summary>
internal sealed class AuthResponseTarget : IFuzzTarget
{
    public string Name => "authhttp";

    public IReadOnlyList<string> Dictionary =>
        [
            "HTTP/1.0 200 OK\r\n", "Auth-Status: ", "Auth-Server: ", "Auth-Port: ", "Auth-User: ", "Auth-Pass: ", "Auth-Wait: ", "Auth-Error-Code: ",
            "Content-Length: ", "Connection: keep-alive\r\n", "Transfer-Encoding: chunked\r\n", "OK\r\n", "WAIT\r\n", "\r\n", "\r\n\r\n", "99999999999999999999",
        ];

    public int MaxBytes => 1100;

    public void Run(ReadOnlySpan<byte> input)
    {
        var whole = new AuthResponseParser();
        AuthResponseResult result = whole.Parse(input);
        var parts = new AuthResponseParser();
        AuthResponseResult partial = AuthResponseResult.NeedMore;
        for (int end = 1; end <= input.Length && partial == AuthResponseResult.NeedMore; end++)
        {
            partial = parts.Parse(input[..end]);
        }

        Oracle.Holds(result == partial || input.IsEmpty, "the outcome depends on the fragmentation");
        if (result != AuthResponseResult.Complete)
        {
            return;
        }

        Oracle.Holds(whole.Status == parts.Status && whole.Consumed == parts.Consumed && whole.Server == parts.Server, "the outcome depends on the fragmentation");
        Oracle.Holds((whole.Status == AuthStatus.Refused) == whole.Message.HasValue, "a refusal without text, or the other way round");
        foreach (ByteRange? value in (ByteRange?[])[whole.Message, whole.Server, whole.Port, whole.User, whole.Pass, whole.ErrorCode])
        {
            // These go into lines of other protocols.
            Oracle.Holds(value is null || !value.Value.In(input[..whole.Consumed]).ContainsAny((byte)'\r', (byte)'\n', (byte)0), "a control character in a value");
        }

        Oracle.Holds(whole.ContentLength is null or >= 0, "a negative length");
    }
}
