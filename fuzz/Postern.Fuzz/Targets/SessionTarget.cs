using System.Text;
using Postern.Fuzz.Sessions;

namespace Postern.Fuzz.Targets;

/// <summary>
/// Whole sessions of all three protocols: what client, auth server and backend say and do, in any order, against an event loop on a scripted
/// kernel. <see cref="SessionScript"/> tells how an input is read, <see cref="SessionOracles"/> what must hold.
/// </summary>
internal sealed class SessionTarget : IFuzzTarget, IDisposable
{
    private readonly SessionStage _stage = new();

    public string Name => "session";

    public IReadOnlyList<string> Dictionary { get; } =
    [
        .. "\xF0|\xF1|\xF2|\xF3|\xF4|\xF5|\xF6|\xF7|\xF8|\xF9|\xFA".Split('|'),
        "\r\n", "\n", "\0", "a LOGIN u p\r\n", "a LOGIN {1+}\r\nu {1}\r\n", "a AUTHENTICATE PLAIN\r\n", "AUTH PLAIN AHUAcA==\r\n", "AUTH LOGIN\r\n", "dQ==\r\n",
        "AUTH CRAM-MD5\r\n", "AUTH EXTERNAL dQ==\r\n", "USER u\r\nPASS p\r\n", "APOP u 11111111111111111111111111111111\r\n", "a STARTTLS\r\n", "STLS\r\n", "STARTTLS\r\n",
        "EHLO x\r\n", "MAIL FROM:<a>\r\n", "RCPT TO:<b>\r\n", "RSET\r\n", "NOOP\r\n", "QUIT\r\n", "a LOGOUT\r\n", "CAPA\r\n", "a CAPABILITY\r\n", "DATA\r\nx\r\n.\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n", "GET / HTTP/1.1\r\n",
        "\xF1HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.9\r\nAuth-Port: 143\r\n\r\n", "Auth-Wait: 1\r\n", "Auth-User: v\r\n", "Auth-Pass: w\r\n", "Auth-Status: no\r\n",
        "Auth-Error-Code: 535 5.7.8\r\n", "Connection: keep-alive\r\nContent-Length: 0\r\n",
        "\xF2* OK hi\r\n", "a OK in\r\n", "+OK\r\n", "-ERR no\r\n", "220 hi\r\n", "250-x\r\n250 y\r\n", "235 in\r\n", "550 no\r\n", "+ go\r\n", "a NO no\r\n", "354 go\r\n",
    ];

    public int MaxBytes => 1500;

    public void Dispose() => _stage.Dispose();

    public void Run(ReadOnlySpan<byte> input)
    {
        SessionScript script = _stage.Play(input);
        try
        {
            SessionOracles.Check(script);
            script.CheckOthersSignIn();
            _stage.CheckNothingLeft(script);
        }
        catch (OracleException e)
        {
            throw new OracleException($"{e.Message}\n{script}\nlog:\n{Encoding.Latin1.GetString(_stage.TakeLog())}");
        }
    }
}
