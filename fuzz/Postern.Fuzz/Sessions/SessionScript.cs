using System.Text;
using Postern.Interop;
using Postern.Net;
using Postern.Net.Tests.Scripted;
using Postern.Net.Tls;
using Postern.Sessions;

namespace Postern.Fuzz.Sessions;

/// <summary>
/// One input as a play: the bytes from 0xF0 are stage directions, all others are said by whoever has the word. What one says arrives in
/// one segment, ended by the next direction.
/// </summary>
internal sealed class SessionScript
{
    private const byte ClientSpeaks = 0xF0;
    private const byte AuthSpeaks = 0xF1;
    private const byte BackendSpeaks = 0xF2;
    private const byte NewSegment = 0xF3;
    private const byte Ends = 0xF4;
    private const byte Resets = 0xF5;
    private const byte SecondPasses = 0xF6;
    private const byte LongTimePasses = 0xF7;
    private const byte StopsOrResumesReading = 0xF8;
    private const byte ShakesHands = 0xF9;
    private const byte ByteByByte = 0xFA;
    private const byte ConnectFails = 0xFB;
    private const byte Literally = 0xFF;

    private readonly SessionStage _stage;
    private readonly Connection _far;
    private readonly ScriptedSocket _farSocket;
    private readonly ScriptedSocket _near;
    private readonly List<byte> _segment = [];
    private readonly List<byte> _authPending = [];
    private readonly List<byte> _backendPending = [];
    private ReadingDialogue? _reader;
    private byte _speaker = ClientSpeaks;
    private bool _byteByByte;
    private bool _handshakeBegun;

    public SessionScript(SessionStage stage, SessionVariant variant)
    {
        (_stage, Variant) = (stage, variant);
        (_far, _farSocket) = stage.Loop.Accept();
        (Connection near, _near) = stage.Loop.Accept();
        ScriptedSocket.Join(_farSocket, _near, autoCarry: true);
        stage.Greet(variant, near);
        Collect();
    }

    public static EndpointAddress AuthAddress { get; } = EndpointAddress.TryParseIP("127.0.0.1", 9000)!;

    public SessionVariant Variant { get; }

    /// <summary>All the client has said and heard outside TLS, before a handshake.</summary>
    public List<byte> ClientSaidClear { get; } = [];

    public List<byte> ClientHeardClear { get; } = [];

    public List<byte> ClientSaidSecret { get; } = [];

    public List<byte> ClientHeardSecret { get; } = [];

    /// <summary>Whether the client is, or was, inside TLS.</summary>
    public bool Secured { get; private set; }

    public List<byte> AuthSaid { get; } = [];

    /// <summary>What auth servers were told, by connection.</summary>
    public List<List<byte>> AuthTold { get; } = [];

    public List<byte> BackendSaid { get; } = [];

    /// <summary>What the backend was told; there is one at most in a session.</summary>
    public List<byte> BackendTold { get; } = [];

    public int Backends { get; private set; }

    /// <summary>The client was joined to its backend.</summary>
    public bool Joined { get; private set; }

    /// <summary>Requests of the auth server when TLS was not there yet.</summary>
    public bool AuthToldInClear { get; private set; }

    /// <summary>Somebody did not read for a while, or shook hands with nobody: what he was told, or said, is not known to the last byte.</summary>
    public bool Stalled { get; private set; }

    /// <summary>Auth-Wait was among the words of the auth server.</summary>
    public bool MayWaitLong => Encoding.Latin1.GetString([.. AuthSaid]).Contains("auth-wait", StringComparison.OrdinalIgnoreCase);

    private ScriptedLoop Loop => _stage.Loop;

    private ScriptedSocket? Auth { get; set; }

    private ScriptedSocket? Backend { get; set; }

    public void Play(ReadOnlySpan<byte> directions)
    {
        for (int i = 0; i < directions.Length; i++)
        {
            byte one = directions[i];
            if (one == Literally && i + 1 < directions.Length)
            {
                _segment.Add(directions[++i]);
            }
            else if (one < ClientSpeaks || one > ConnectFails)
            {
                _segment.Add(one);
            }
            else
            {
                Say();
                Direct(one);
            }
        }

        Say();
    }

    /// <summary>Somebody else signs in at the same server and hears exactly what he should, whatever was played before.</summary>
    public void CheckOthersSignIn()
    {
        if (Variant.Ssl || Variant.StartTls == StartTls.Only || (Variant.Second & 0xA0) != 0 || Variant.Settings.ClientBufferBytes == 64)
        {
            return;
        }

        Loop.Kernel.ConnectError = 0;
        List<ScriptedSocket> opened = Loop.Kernel.Connected;
        opened.ForEach(socket => socket.Window = int.MaxValue);
        int before = opened.Count;
        (Connection connection, ScriptedSocket client) = Loop.Accept();
        _stage.Greet(Variant, connection);
        client.Arrive(Variant.ProxyProtocol ? "PROXY UNKNOWN\r\n" : "");
        Loop.Settle();
        client.TakeText();
        (string signIn, string[] replies, string joined) = Variant.Protocol switch
        {
            MailProtocol.Imap => ("honest LOGIN honest-user honest-pass\r\n", (string[])["* OK hello\r\n", "honest OK in\r\n"], "honest OK in\r\n"),
            MailProtocol.Pop3 => ("USER honest-user\r\nPASS honest-pass\r\n", ["+OK hello\r\n", "+OK\r\n", "+OK in\r\n"], "+OK\r\n+OK in\r\n"),
            _ => ("AUTH PLAIN AGhvbmVzdC11c2VyAGhvbmVzdC1wYXNz\r\n",
                ["220 hello\r\n", "250 mx\r\n", .. Variant.XClient ? (string[])["220 again\r\n"] : [], .. Variant.ProxySmtpAuth ? (string[])["235 in\r\n"] : []],
                "235 2.0.0 OK\r\n"),
        };
        client.Arrive(signIn);
        Loop.Settle();
        ScriptedSocket auth = opened.Count > before ? opened[before] : Auth!;
        string request = auth.TakeText();
        Oracle.Holds(request.Contains("Auth-User: honest-user\r\nAuth-Pass: honest-pass\r\n", StringComparison.Ordinal), "somebody else's credentials were lost");
        auth.Arrive("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.8\r\nAuth-Port: 143\r\n\r\n");
        Loop.Settle();
        ScriptedSocket backend = opened[^1];
        foreach (string reply in replies)
        {
            backend.Arrive(reply);
            Loop.Settle();
        }

        string heard = client.TakeText();
        Oracle.Holds(heard == joined, $"somebody else heard \"{heard}\"");
        backend.TakeText();
        client.Arrive("to the backend");
        backend.Arrive("to the client");
        Loop.Settle();
        Oracle.Holds(backend.TakeText() == "to the backend" && client.TakeText() == "to the client", "somebody else's relay");
        client.ArriveEnd();
    }

    /// <summary>All who are still there leave.</summary>
    public void EndAll()
    {
        _near.Window = int.MaxValue;
        _near.FreeSpace();
        Loop.Settle();
        if (!_farSocket.Closed)
        {
            _far.Close();
        }

        // A retry may open another connection when one ends.
        for (int i = 0; i < Loop.Kernel.Connected.Count; i++)
        {
            ScriptedSocket socket = Loop.Kernel.Connected[i];
            if (!socket.Closed)
            {
                socket.Connecting = false;
                socket.Window = int.MaxValue;
                socket.FreeSpace();
                socket.ArriveEnd();
                Loop.Settle();
            }
        }
    }

    public override string ToString() =>
        $"{Variant}\nclient said {Show(ClientSaidClear)} then {Show(ClientSaidSecret)}\nclient heard {Show(ClientHeardClear)} then {Show(ClientHeardSecret)}\n"
        + $"auth said {Show(AuthSaid)}\nauth told {string.Join(" | ", AuthTold.Select(Show))}\nbackend said {Show(BackendSaid)}\nbackend told {Show(BackendTold)}\njoined {Joined}";

    private static string Show(List<byte> bytes) => TestKit.Text.Show(Encoding.Latin1.GetString([.. bytes]));

    private void Direct(byte direction)
    {
        ScriptedSocket? socket = _speaker switch { AuthSpeaks => Auth, BackendSpeaks => Backend, _ => _near };
        switch (direction)
        {
            case ClientSpeaks or AuthSpeaks or BackendSpeaks:
                _speaker = direction;
                break;
            case Ends when socket is { Closed: false, EndArrived: false }:
                socket.ArriveEnd();
                break;
            case Resets when socket is { Closed: false, EndArrived: false }:
                socket.Fail(socket.Connecting ? Libc.ECONNREFUSED : Libc.ECONNRESET);
                break;
            case SecondPasses:
                Loop.Pass(1_000);
                break;
            case LongTimePasses:
                Loop.Pass(70_000);
                break;
            case StopsOrResumesReading when socket is not null:
                Stalled = true;
                socket.Window = socket.Window == 0 ? int.MaxValue : 0;
                socket.FreeSpace();
                break;
            case ShakesHands when !_handshakeBegun && !_farSocket.Closed:
                ShakeHands();
                break;
            case ByteByByte:
                _byteByByte = !_byteByByte;
                break;
            case ConnectFails:
                Loop.Kernel.ConnectError = Loop.Kernel.ConnectError == 0 ? Libc.ECONNREFUSED : 0;
                break;
            default:
                // A new segment, or somebody leaves who is not there.
                break;
        }

        Settle();
    }

    private void ShakeHands()
    {
        Collect();
        _handshakeBegun = true;
        HandshakeDialogue handshake = HandshakeDialogue.AsClient(_far, _stage.ClientTls);
        Loop.Settle();
        if (handshake.Outcome == HandshakeOutcome.Completed)
        {
            Secured = true;
            _reader = ReadingDialogue.Start(_far);
        }
        else
        {
            // What the client has said with it is not known here.
            Stalled = true;
        }
    }

    /// <summary>Lets arrive what the speaker has said.</summary>
    private void Say()
    {
        if (_segment.Count == 0)
        {
            return;
        }

        int size = _byteByByte ? 1 : _segment.Count;
        for (int at = 0; at < _segment.Count; at += size)
        {
            Say([.. _segment.Slice(at, size)]);
            Settle();
        }

        _segment.Clear();
    }

    private void Say(byte[] bytes)
    {
        switch (_speaker)
        {
            case AuthSpeaks:
                _authPending.AddRange(bytes);
                break;
            case BackendSpeaks:
                _backendPending.AddRange(bytes);
                break;
            case var _ when _reader is not null:
                if (!_far.IsClosed)
                {
                    ClientSaidSecret.AddRange(bytes);
                    _far.Write(bytes);
                }

                break;
            case var _ when !_near.Closed && !_near.EndArrived:
                ClientSaidClear.AddRange(bytes);
                _near.Arrive(bytes);
                break;
            default:
                break;
        }
    }

    private void Settle()
    {
        // What was said before there was anybody to say it to arrives with the connection.
        do
        {
            Loop.Settle();
            Collect();
        }
        while (Deliver(Auth, _authPending, AuthSaid) | Deliver(Backend, _backendPending, BackendSaid));
    }

    private static bool Deliver(ScriptedSocket? socket, List<byte> pending, List<byte> said)
    {
        if (pending.Count == 0 || socket is not { Closed: false, EndArrived: false })
        {
            return false;
        }

        if (socket.Connecting)
        {
            socket.Establish();
        }

        said.AddRange(pending);
        socket.Arrive(pending.ToArray());
        pending.Clear();
        return true;
    }

    /// <summary>Takes what everybody has heard.</summary>
    private void Collect()
    {
        if (!_handshakeBegun)
        {
            ClientHeardClear.AddRange(_farSocket.Inbox.TakeAll());
        }
        else if (_reader is not null)
        {
            ClientHeardSecret.AddRange(_reader.Read.TakeAll());
        }

        ScriptedSystemCalls kernel = Loop.Kernel;
        for (int i = AuthTold.Count + Backends; i < kernel.Connected.Count; i++)
        {
            if (kernel.ConnectedTo[i].Equals(AuthAddress))
            {
                AuthToldInClear |= !Secured && !Variant.Ssl;
                Auth = kernel.Connected[i];
                AuthTold.Add([]);
            }
            else
            {
                Backend = kernel.Connected[i];
                Backends++;
            }
        }

        if (Auth is not null && Auth.Window > 0)
        {
            AuthTold[^1].AddRange(Auth.Take());
        }

        if (Backend is not null && Backend.Window > 0)
        {
            BackendTold.AddRange(Backend.Take());
        }

        Joined |= _stage.Notice is { Accepted: true };
    }
}

/// <summary>Parts of lists.</summary>
file static class Lists
{
    public static List<byte> Slice(this List<byte> list, int at, int count) => list.GetRange(at, Math.Min(count, list.Count - at));
}
