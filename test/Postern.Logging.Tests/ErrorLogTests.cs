using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace Postern.Logging.Tests;

public partial class ErrorLogTests
{
    private static string ProcessId => Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    [Theory]
    [InlineData(LogLevel.Emerg, "emerg")]
    [InlineData(LogLevel.Alert, "alert")]
    [InlineData(LogLevel.Crit, "crit")]
    [InlineData(LogLevel.Error, "error")]
    [InlineData(LogLevel.Warn, "warn")]
    [InlineData(LogLevel.Notice, "notice")]
    [InlineData(LogLevel.Info, "info")]
    [InlineData(LogLevel.Debug, "debug")]
    public void Write_EachLevel_HasTheLinesForm(LogLevel level, string name)
    {
        using TestLog test = new();
        test.Open(test.File("a.log", LogLevel.Debug)).Write(level, "*1 hello"u8);
        Assert.Matches($@"^2026/11/02 15:20:25 \[{name}\] {ProcessId}#\d+: \*1 hello\n$", test.Read("a.log"));
    }

    [Fact]
    public void Write_TimePasses_StampFollowsInLocalTime()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("a.log", LogLevel.Info));
        log.Write(LogLevel.Info, "one"u8);
        test.Time.Advance(TimeSpan.FromMilliseconds(100));
        log.Write(LogLevel.Info, "two"u8);
        test.Time.SetLocalTimeZone(TimeZoneInfo.CreateCustomTimeZone("x", TimeSpan.FromHours(10), "x", "x"));
        test.Time.Advance(TimeSpan.FromSeconds(1));
        log.Write(LogLevel.Info, "three"u8);
        Assert.Equal(
            ["2026/11/02 15:20:25", "2026/11/02 15:20:26", "2026/11/03 01:20:27"],
            test.Read("a.log").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line[..19]));
    }

    [Fact]
    public void Write_SeveralTargets_EachByItsThreshold()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("warn.log", LogLevel.Warn), test.File("info.log", LogLevel.Info));
        log.Write(LogLevel.Error, "e"u8);
        log.Write(LogLevel.Warn, "w"u8);
        log.Write(LogLevel.Info, "i"u8);
        log.Write(LogLevel.Debug, "d"u8);
        Assert.Equal(["e", "w"], Messages(test.Read("warn.log")));
        Assert.Equal(["e", "w", "i"], Messages(test.Read("info.log")));
        Assert.True(log.IsEnabled(LogLevel.Info));
        Assert.False(log.IsEnabled(LogLevel.Debug));
        Assert.False(ErrorLog.None.IsEnabled(LogLevel.Emerg));
    }

    [Fact]
    public void Write_LongMessage_CutAt2048Bytes()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("a.log", LogLevel.Info));
        log.Write(LogLevel.Info, new byte[5000].Select(_ => (byte)'x').ToArray());
        string text = test.Read("a.log");
        Assert.Equal(2048, text.Length);
        Assert.EndsWith("xx\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_SeveralThreads_WholeLines()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("a.log", LogLevel.Info));
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(number => new Thread(() =>
        {
            byte[] message = Encoding.ASCII.GetBytes(new string((char)('a' + number), 100 + (number * 300)));
            for (int i = 0; i < 200; i++)
            {
                log.Write(LogLevel.Info, message);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        string[] messages = [.. Messages(test.Read("a.log"))];
        Assert.Equal(800, messages.Length);
        Assert.All(messages, message => Assert.Equal(new string(message[0], 100 + ((message[0] - 'a') * 300)), message));
        Assert.Equal(4, ThreadNumber().Matches(test.Read("a.log")).Select(match => match.Value).Distinct().Count());
    }

    [Fact]
    public void TryOpen_SamePathTwice_SharesTheFileAndAppends()
    {
        using TestLog test = new();
        File.WriteAllText(test.Path("a.log"), "old\n");
        ErrorLog first = test.Open(test.File("a.log", LogLevel.Error));
        ErrorLog second = test.Open(test.File("a.log", LogLevel.Info));
        Assert.Same(first.Targets.Single(), second.Targets.Single());
        second.Write(LogLevel.Info, "two"u8);
        first.Write(LogLevel.Error, "one"u8);
        Assert.StartsWith("old\n", test.Read("a.log"), StringComparison.Ordinal);
        Assert.Equal(["two", "one"], Messages(test.Read("a.log")[4..]));
    }

    [Fact]
    public void TryOpen_MissingFolder_TellsPathAndErrno()
    {
        using TestLog test = new();
        string path = test.Path("missing/a.log");
        Assert.False(test.Set.TryOpen([test.File("missing/a.log", LogLevel.Error)], out ErrorLog? log, out string? error));
        Assert.Null(log);
        Assert.Equal($"open() \"{path}\" failed (2: No such file or directory)", error);
    }

    [Fact]
    public void Reopen_RenamedFile_NewLinesGoToANewFile()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(test.File("a.log", LogLevel.Info));
        log.Write(LogLevel.Info, "before"u8);
        File.Move(test.Path("a.log"), test.Path("a.log.1"));
        log.Write(LogLevel.Info, "between"u8);
        Assert.Empty(test.Files.Reopen());
        log.Write(LogLevel.Info, "after"u8);
        Assert.Equal(["before", "between"], Messages(test.Read("a.log.1")));
        Assert.Equal(["after"], Messages(test.Read("a.log")));
    }

    [Fact]
    public void Reopen_FolderGone_KeepsTheOldFileAndReports()
    {
        using TestLog test = new();
        Directory.CreateDirectory(test.Path("sub"));
        ErrorLog log = test.Open(test.File("sub/a.log", LogLevel.Info));
        Directory.Move(test.Path("sub"), test.Path("moved"));
        Assert.Equal([$"open() \"{test.Path("sub/a.log")}\" failed (2: No such file or directory)"], test.Files.Reopen());
        log.Write(LogLevel.Info, "kept"u8);
        Assert.Equal(["kept"], Messages(test.Read("moved/a.log")));
    }

    [Fact]
    public void Commit_RotatedFile_OlderLogsFollow()
    {
        using TestLog test = new();
        ErrorLog old = test.Open(test.File("a.log", LogLevel.Info));
        old.Write(LogLevel.Info, "before"u8);
        File.Move(test.Path("a.log"), test.Path("a.log.1"));

        using ErrorLogSet next = new(test.Time, test.Files);
        Assert.True(next.TryOpen([test.File("a.log", LogLevel.Info)], out ErrorLog? log, out _));
        old.Write(LogLevel.Info, "not yet"u8);
        next.Commit();
        old.Write(LogLevel.Info, "old"u8);
        log.Write(LogLevel.Info, "new"u8);

        Assert.Equal(["before", "not yet"], Messages(test.Read("a.log.1")));
        Assert.Equal(["old", "new"], Messages(test.Read("a.log")));
    }

    [Fact]
    public void Dispose_NeverCommitted_LeavesTheOlderLogAlone()
    {
        using TestLog test = new();
        ErrorLog old = test.Open(test.File("a.log", LogLevel.Info));
        File.Move(test.Path("a.log"), test.Path("a.log.1"));

        using (ErrorLogSet next = new(test.Time, test.Files))
        {
            Assert.True(next.TryOpen([test.File("a.log", LogLevel.Info)], out _, out _));
        }

        old.Write(LogLevel.Info, "kept"u8);
        Assert.Equal(["kept"], Messages(test.Read("a.log.1")));
    }

    [Fact]
    public void Memory_SmallBuffer_KeepsTheNewestBytes()
    {
        using TestLog test = new();
        ErrorLog log = test.Open(new ErrorLogSettings { Kind = ErrorLogTargetKind.Memory, MemoryBytes = 100, Level = LogLevel.Debug });
        MemoryTarget memory = Assert.IsType<MemoryTarget>(log.Targets.Single());
        log.Write(LogLevel.Debug, "one"u8);
        Assert.Equal(["one"], Messages(Encoding.ASCII.GetString(memory.Snapshot())));
        log.Write(LogLevel.Debug, "two"u8);
        log.Write(LogLevel.Debug, "three"u8);
        string text = Encoding.ASCII.GetString(memory.Snapshot());
        Assert.Equal(100, text.Length);
        Assert.EndsWith(": three\n", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, "<190>Nov  2 15:20:25 mx.example.test nginx: ")]
    [InlineData(true, "<190>Nov  2 15:20:25 nginx: ")]
    public void Syslog_Udp_DatagramFormat(bool noHostName, string expected)
    {
        using TestLog test = new();
        using Socket receiver = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        receiver.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        ErrorLogSettings settings = Syslog((IPEndPoint)receiver.LocalEndPoint!);
        ErrorLog log = test.Open(settings with { Syslog = settings.Syslog! with { NoHostName = noHostName } });
        log.Write(LogLevel.Info, "hello"u8);
        Assert.Matches($@"^{Regex.Escape(expected)}2026/11/02 15:20:25 \[info\] {ProcessId}#\d+: hello$", Receive(receiver));
    }

    [Fact]
    public void Syslog_UdpOverIPv6_Arrives()
    {
        using TestLog test = new();
        using Socket receiver = new(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        receiver.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        test.Open(Syslog((IPEndPoint)receiver.LocalEndPoint!)).Write(LogLevel.Emerg, "hello"u8);
        Assert.StartsWith("<184>", Receive(receiver), StringComparison.Ordinal);
    }

    [Fact]
    public void Syslog_UnixSocketRestarts_FailureReportedOnceASecondThenRecovers()
    {
        using TestLog test = new();
        string path = test.Path("s");
        ErrorLog log = test.Open(
            new ErrorLogSettings
            {
                Kind = ErrorLogTargetKind.Syslog,
                Level = LogLevel.Info,
                Syslog = new SyslogSettings { UnixPath = path, Facility = 2, Tag = "postern" },
            },
            test.File("a.log", LogLevel.Error));
        log.Write(LogLevel.Info, "lost"u8);
        log.Write(LogLevel.Info, "lost too"u8);
        Assert.Equal(
            [$"send() failed (2: No such file or directory) while logging to syslog, server: unix:{path}"], Messages(test.Read("a.log")));

        using (Socket receiver = UnixReceiver(path))
        {
            log.Write(LogLevel.Info, "arrives"u8);
            Assert.Matches(@"^<22>Nov  2 15:20:25 mx\.example\.test postern: .*: arrives$", Receive(receiver));
        }

        File.Delete(path);
        test.Time.Advance(TimeSpan.FromSeconds(1));
        log.Write(LogLevel.Error, "in the file"u8);
        Assert.Equal(3, Messages(test.Read("a.log")).Count());

        using Socket again = UnixReceiver(path);
        log.Write(LogLevel.Info, "again"u8);
        Assert.EndsWith(": again", Receive(again), StringComparison.Ordinal);
    }

    private static ErrorLogSettings Syslog(IPEndPoint server) => new()
    {
        Kind = ErrorLogTargetKind.Syslog,
        Level = LogLevel.Info,
        Syslog = new SyslogSettings { Server = server },
    };

    private static Socket UnixReceiver(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    private static string Receive(Socket socket)
    {
        socket.ReceiveTimeout = 10_000;
        byte[] datagram = new byte[4096];
        return Encoding.Latin1.GetString(datagram, 0, socket.Receive(datagram));
    }

    /// <summary>What stands behind the process and thread numbers of each line.</summary>
    private static IEnumerable<string> Messages(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => line[(line.IndexOf(": ", StringComparison.Ordinal) + 2)..]);

    [GeneratedRegex(@"#\d+: ")]
    private static partial Regex ThreadNumber();
}
