using Postern.Logging;
using Postern.Net;
using Postern.Net.Relaying;

namespace Postern.Sessions;

/// <summary>What is left of a session while its client and backend talk: the facts for the last log line.</summary>
internal sealed class JoinedSession(SessionLogContext context) : IRelayOwner
{
    public void LogStart() => Log("client logged in"u8, withAction: false);

    public void OnRelayEnded(Relay relay, RelayOutcome outcome)
    {
        switch (outcome)
        {
            case RelayOutcome.Done:
                Log("proxied session done"u8, withAction: false);
                break;
            case RelayOutcome.TimedOut:
                Log("client timed out"u8, withAction: true, Errno.TimedOut);
                break;
            case RelayOutcome.ShutdownTimeout:
                Log("shutdown timeout"u8, withAction: true);
                break;
            default:
                Log("connection lost"u8, withAction: true);
                break;
        }
    }

    private void Log(ReadOnlySpan<byte> message, bool withAction, int errno = 0)
    {
        if (!context.Log.IsEnabled(LogLevel.Info))
        {
            return;
        }

        LogLine line = new(stackalloc byte[LogLine.MaxBytes]);
        context.AppendNumber(ref line);
        line.Append(message);
        if (errno != 0)
        {
            line.AppendErrno(errno);
        }

        context.AppendTail(ref line, withAction);
        context.Log.Write(LogLevel.Info, line.Written);
    }
}
