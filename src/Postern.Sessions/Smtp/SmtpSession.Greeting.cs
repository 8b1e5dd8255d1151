using System.Buffers;
using System.Text;
using Postern.Logging;
using Postern.Net;
using Postern.Net.Resolving;
using Postern.Protocol.Smtp;

namespace Postern.Sessions.Smtp;

/// <summary>What comes before the greeting: the client's name, and <c>smtp_greeting_delay</c> (mail-proxy 3.10, 6.3).</summary>
internal sealed partial class SmtpSession
{
    /// <summary>Of what an early talker said so much is logged, enough for a verb; the rest may be a password .</summary>
    private const int LoggedEarlyBytes = 20;

    private static readonly SearchValues<byte> _verbEnds = SearchValues.Create(" \r\n"u8);

    /// <summary>For <c>Client-Host</c> and XCLIENT.</summary>
    private string _clientHost = ClientName.Unavailable;

    private protected override async ValueTask GreetAsync()
    {
        if (Server.Names is { } names)
        {
            await ResolveAsync(names);
        }

        if (Server.Settings.SmtpGreetingDelay > TimeSpan.Zero)
        {
            await DelayAsync(Server.Settings.SmtpGreetingDelay);
        }

        Enter(LogActions.SendingGreeting);
        ScratchWriter scratch = Loop.Scratch.Reset();
        SmtpReplies.WriteGreeting(Server.ServerName, scratch);
        Client.Write(scratch.Written);
    }

    /// <summary>The client is not read meanwhile; <c>resolver_timeout</c> bounds the lookups.</summary>
    private async ValueTask ResolveAsync(ClientNameResolver names)
    {
        Enter(LogActions.ResolvingClientAddress);
        if (ClientAddress.Family == AddressFamilyKind.Unix)
        {
            _clientHost = ClientName.TemporarilyUnavailable;
            return;
        }

        Deadline.Clear();
        ClientName name = await names.Resolve(ClientAddress, Client);
        _clientHost = name.Text;
        switch (name.Failure)
        {
            case null:
                break;
            case { Code: 0 } invalid:
                LogQuoting(
                    LogLevel.Error, Encoding.ASCII.GetBytes(Context.Client + " resolved to invalid host name "), Encoding.UTF8.GetBytes(invalid.HostName));
                break;
            case { HostName: "" } failure:
                LogMessage(LogLevel.Error, Encoding.ASCII.GetBytes($"{Context.Client} could not be resolved ({failure.CodeText})"));
                break;
            case { } failure:
                Enter(LogActions.ResolvingClientHostname);
                LogMessage(LogLevel.Error, Encoding.ASCII.GetBytes($"\"{failure.HostName}\" could not be resolved ({failure.CodeText})"));
                break;
        }
    }

    /// <summary>Programs that send spam do not wait for the greeting (RFC 5321 section 4.3.1): who speaks before it is turned away.</summary>
    private async ValueTask DelayAsync(TimeSpan time)
    {
        Enter(LogActions.DelayPipelining);
        Deadline.Clear();
        bool present = TryFill();
        long end = Loop.Now + (long)time.TotalMilliseconds;
        while (present && Input.Length == 0 && Loop.Now < end)
        {
            await Client.ReadableWithin(TimeSpan.FromMilliseconds(end - Loop.Now));
            present = TryFill();
        }

        if (Input.Length > 0)
        {
            ReadOnlySpan<byte> said = Input[..Math.Min(Input.Length, LoggedEarlyBytes)];
            int verbEnd = said.IndexOfAny(_verbEnds);
            LogQuoting(LogLevel.Info, "client was rejected before greeting: "u8, verbEnd < 0 ? said : said[..verbEnd]);
            Client.Write(SmtpReplies.EarlyTalker);
            CloseClient();
            throw new SessionEndedException();
        }

        if (!present)
        {
            throw new SessionEndedException();
        }
    }
}
