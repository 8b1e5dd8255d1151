using System.Text;
using Postern.Net;
using Postern.Net.Tests.Scripted;

namespace Postern.Sessions.Tests.Hostile;

/// <summary>A client that can speak in clear and under TLS on the same connection, byte by byte if need be.</summary>
internal sealed class HostileClient
{
    private readonly SessionHarness _mail;
    private readonly Connection _far;
    private readonly ScriptedSocket _farSocket;
    private ReadingDialogue? _reader;

    private HostileClient(SessionHarness mail, Connection far, ScriptedSocket farSocket, ScriptedSocket near)
    {
        (_mail, _far, _farSocket, Near) = (mail, far, farSocket, near);
    }

    /// <summary>The session's end.</summary>
    public ScriptedSocket Near { get; }

    public HandshakeOutcome? Outcome { get; private set; }

    /// <summary>The session has ended the stream inside TLS.</summary>
    public bool Ended => _reader!.Ended;

    /// <summary>Connects; the greeting, if it comes in clear, is there to be taken.</summary>
    public static HostileClient Connect(SessionHarness mail)
    {
        var (far, farSocket) = mail.Script.Accept();
        var (near, nearSocket) = mail.Script.Accept();
        ScriptedSocket.Join(farSocket, nearSocket, autoCarry: true);
        mail.Greet(near);
        return new HostileClient(mail, far, farSocket, nearSocket);
    }

    /// <summary>What the session has said in clear.</summary>
    public string TakeClear() => _farSocket.Inbox.TakeText();

    /// <summary>Says something in clear and returns what comes back.</summary>
    public string SayClear(string text)
    {
        Near.Arrive(text);
        _mail.Script.Settle();
        return TakeClear();
    }

    /// <summary>Shakes hands; with bytes in front of the ClientHello, in one segment with it.</summary>
    /// <param name="glued">In clear, in front of the handshake.</param>
    /// <param name="chunk">Bytes of the handshake that arrive at a time, in both directions.</param>
    public HandshakeOutcome? Handshake(string glued = "", int chunk = int.MaxValue)
    {
        Near.Arrive(glued);
        Near.AutoCarry = _farSocket.AutoCarry = chunk == int.MaxValue;
        HandshakeDialogue handshake = HandshakeDialogue.AsClient(_far, SessionHarness.ClientContext);
        do
        {
            _mail.Script.Settle();
        }
        while (_farSocket.Carry(chunk) + Near.Carry(chunk) > 0);

        Near.AutoCarry = _farSocket.AutoCarry = true;
        Outcome = handshake.Outcome;
        if (Outcome == HandshakeOutcome.Completed)
        {
            _reader = ReadingDialogue.Start(_far);
            _mail.Script.Settle();
        }

        return Outcome;
    }

    /// <summary>What the session has said inside TLS.</summary>
    public string TakeSecret() => _reader!.Read.TakeText();

    /// <summary>Says something inside TLS and returns what comes back inside TLS.</summary>
    public string SaySecret(string text)
    {
        _far.Write(Encoding.Latin1.GetBytes(text));
        _mail.Script.Settle();
        return TakeSecret();
    }

    /// <summary>Leaves without a word.</summary>
    public void Leave()
    {
        if (!_farSocket.Closed)
        {
            _far.Close();
        }

        _mail.Script.Settle();
    }
}
