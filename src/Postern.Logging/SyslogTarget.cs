using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using Postern.Interop;

namespace Postern.Logging;

/// <summary>
/// Syslog datagrams over UDP or a unix socket: <c>&lt;PRI&gt;Mmm dd HH:MM:SS HOST TAG: LINE</c> (RFC 3164). Never waits: what the
/// kernel does not take at once is lost.
/// </summary>
internal sealed class SyslogTarget : LogTarget
{
    private const int Eagain = 11;
    private const ushort AfUnix = 1;
    private const ushort AfInet = 2;
    private const ushort AfInet6 = 10;
    private const int HeaderBytes = 512;

    private readonly TimeProvider _time;
    private readonly int _facility;
    private readonly byte[] _sockaddr;
    private readonly byte[] _origin;
    private readonly string _server;
    private readonly Lock _gate = new();
    private int _fd = -1;
    private bool _disposed;

    /// <param name="settings">Exactly one of its addresses is set.</param>
    /// <param name="hostName">Name of this host in lower case.</param>
    /// <param name="time">The clock of the datagram's time stamp.</param>
    public SyslogTarget(SyslogSettings settings, string hostName, TimeProvider time)
    {
        _time = time;
        _facility = settings.Facility;
        _origin = Encoding.UTF8.GetBytes(settings.NoHostName ? $"{settings.Tag}: " : $"{hostName} {settings.Tag}: ");
        _sockaddr = settings.Server is { } server ? InetAddress(server) : UnixAddress(settings.UnixPath);
        _server = settings.Server?.ToString() ?? "unix:" + settings.UnixPath;
    }

    ~SyslogTarget() => Close();

    public override string FailureText => $"while logging to syslog, server: {_server}";

    public override int Write(LogLevel level, ReadOnlySpan<byte> line)
    {
        LogLine datagram = new(stackalloc byte[LogLine.MaxBytes + HeaderBytes]);
        datagram.Append("<"u8);
        datagram.Append((_facility * 8) + (int)level);
        datagram.Append(">"u8);
        LogClock.AppendSyslogTime(ref datagram, _time);
        datagram.Append(_origin);
        datagram.Append(line.TrimEnd((byte)'\n'));
        return Send(datagram.Written);
    }

    public override void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            Close();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>A failure closes the socket; the next line opens another one, so a restarted syslog daemon is found again.</summary>
    private int Send(ReadOnlySpan<byte> datagram)
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return 0;
            }

            if (_fd < 0)
            {
                _fd = Libc.log_open_datagram(_sockaddr);
                if (_fd < 0)
                {
                    return Marshal.GetLastPInvokeError();
                }
            }

            if (Libc.log_send_datagram(_fd, datagram) >= 0)
            {
                return 0;
            }

            int errno = Marshal.GetLastPInvokeError();
            if (errno == Eagain)
            {
                return 0;
            }

            Close();
            return errno;
        }
    }

    private void Close()
    {
        if (_fd >= 0)
        {
            _ = Libc.close(_fd);
            _fd = -1;
        }
    }

    private static byte[] UnixAddress(string path)
    {
        byte[] address = new byte[110]; // sizeof(struct sockaddr_un)
        MemoryMarshal.Write(address, AfUnix);
        _ = Encoding.UTF8.TryGetBytes(path, address.AsSpan(2, 107), out _);
        return address;
    }

    private static byte[] InetAddress(IPEndPoint server)
    {
        byte[] ip = server.Address.GetAddressBytes();
        byte[] address = new byte[ip.Length == 4 ? 16 : 28];
        MemoryMarshal.Write(address, ip.Length == 4 ? AfInet : AfInet6);
        BinaryPrimitives.WriteUInt16BigEndian(address.AsSpan(2), (ushort)server.Port);
        ip.CopyTo(address, ip.Length == 4 ? 4 : 8);
        if (ip.Length == 16)
        {
            MemoryMarshal.Write(address.AsSpan(24), (uint)server.Address.ScopeId);
        }

        return address;
    }
}
