using Postern.Interop;

namespace Postern.Logging;

/// <summary>The beginning of each line, <c>YYYY/MM/DD HH:MM:SS</c> in local time, worked out once per second and thread.</summary>
internal static class LogClock
{
    [ThreadStatic]
    private static ThreadCache? _cache;

    private static readonly int _processId = Libc.getpid();

    /// <summary>Writes <c>2026/11/22 15:20:25 [info] 3110#3114: </c>.</summary>
    public static void AppendPrefix(ref LogLine line, TimeProvider time, LogLevel level)
    {
        ThreadCache cache = Current(time);
        line.Append(cache.Stamp);
        line.Append(LevelTag(level));
        line.Append(_processId);
        line.Append("#"u8);
        line.Append(cache.ThreadId);
        line.Append(": "u8);
    }

    /// <summary>Writes <c>Nov  2 15:20:25 </c> (RFC 3164 section 4.1.2: the day is padded with a space).</summary>
    public static void AppendSyslogTime(ref LogLine line, TimeProvider time) => line.Append(Current(time).SyslogStamp);

    /// <summary>Seconds since 1970.</summary>
    public static long Seconds(TimeProvider time) => time.GetUtcNow().UtcTicks / TimeSpan.TicksPerSecond;

    private static ThreadCache Current(TimeProvider time)
    {
        ThreadCache cache = _cache ??= new ThreadCache(Libc.gettid());
        cache.Refresh(time);
        return cache;
    }

    private static ReadOnlySpan<byte> LevelTag(LogLevel level) => level switch
    {
        LogLevel.Emerg => " [emerg] "u8,
        LogLevel.Alert => " [alert] "u8,
        LogLevel.Crit => " [crit] "u8,
        LogLevel.Error => " [error] "u8,
        LogLevel.Warn => " [warn] "u8,
        LogLevel.Notice => " [notice] "u8,
        LogLevel.Info => " [info] "u8,
        _ => " [debug] "u8,
    };

    private sealed class ThreadCache(int threadId)
    {
        private readonly byte[] _stamp = new byte["YYYY/MM/DD HH:MM:SS".Length];
        private readonly byte[] _syslogStamp = new byte["Mmm dd HH:MM:SS ".Length];
        private TimeProvider? _time;
        private long _second;

        public int ThreadId { get; } = threadId;

        public ReadOnlySpan<byte> Stamp => _stamp;

        public ReadOnlySpan<byte> SyslogStamp => _syslogStamp;

        public void Refresh(TimeProvider time)
        {
            DateTimeOffset utc = time.GetUtcNow();
            long second = utc.UtcTicks / TimeSpan.TicksPerSecond;
            if (second == _second && ReferenceEquals(time, _time))
            {
                return;
            }

            DateTimeOffset local = TimeZoneInfo.ConvertTime(utc, time.LocalTimeZone);
            Digits(_stamp, 0, 4, local.Year);
            _stamp[4] = _stamp[7] = (byte)'/';
            Digits(_stamp, 5, 2, local.Month);
            Digits(_stamp, 8, 2, local.Day);
            _stamp[10] = (byte)' ';
            Clock(_stamp, 11, local);

            "JanFebMarAprMayJunJulAugSepOctNovDec"u8.Slice((local.Month - 1) * 3, 3).CopyTo(_syslogStamp);
            _syslogStamp[3] = _syslogStamp[6] = _syslogStamp[15] = (byte)' ';
            Digits(_syslogStamp, 4, 2, local.Day);
            if (local.Day < 10)
            {
                _syslogStamp[4] = (byte)' ';
            }

            Clock(_syslogStamp, 7, local);
            _second = second;
            _time = time;
        }

        private static void Clock(byte[] target, int offset, DateTimeOffset local)
        {
            Digits(target, offset, 2, local.Hour);
            Digits(target, offset + 3, 2, local.Minute);
            Digits(target, offset + 6, 2, local.Second);
            target[offset + 2] = target[offset + 5] = (byte)':';
        }

        private static void Digits(byte[] target, int offset, int count, int value)
        {
            for (int i = offset + count - 1; i >= offset; i--)
            {
                target[i] = (byte)('0' + (value % 10));
                value /= 10;
            }
        }
    }
}
