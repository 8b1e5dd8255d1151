using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Postern.TestKit.Scripted;

/// <summary>
/// A name server over UDP that knows a few lines of the form <c>NAME TYPE VALUE</c>. A value <c>!N</c> is a response code, <c>!silent</c> no
/// answer at all; a name without lines does not exist. Names in values are sent byte by byte, whatever they are.
/// </summary>
public sealed class ScriptedDns : IAsyncDisposable
{
    private const int HeaderBytes = 12;
    private const int NameError = 3;
    private const int TtlSeconds = 60;

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly CancellationTokenSource _stop = new();
    private readonly (string Name, string Type, string Value)[] _records;
    private readonly ConcurrentQueue<string> _queries = new();
    private readonly Task _work;

    private ScriptedDns(IEnumerable<string> records)
    {
        _records = [.. records.Select(line => line.Split(' ', 3)).Select(words => (words[0], words[1], words.ElementAtOrDefault(2) ?? ""))];
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _work = AnswerAllAsync();
    }

    public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    /// <summary>What was asked so far, <c>TYPE NAME</c> each.</summary>
    public IReadOnlyCollection<string> Queries => _queries;

    public static ScriptedDns Start(IEnumerable<string> records) => new(records);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _socket.Dispose();
        await _work;
        _stop.Dispose();
    }

    private async Task AnswerAllAsync()
    {
        byte[] buffer = new byte[4096];
        try
        {
            while (true)
            {
                SocketReceiveFromResult query = await _socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0), _stop.Token);
                if (Answer(buffer.AsSpan(0, query.ReceivedBytes)) is { } answer)
                {
                    await _socket.SendToAsync(answer, query.RemoteEndPoint, _stop.Token);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The scenario is over.
        }
    }

    private byte[]? Answer(ReadOnlySpan<byte> query)
    {
        (string name, int end) = ReadName(query);
        int type = BinaryPrimitives.ReadUInt16BigEndian(query[end..]);
        string typeName = type switch { 1 => "A", 12 => "PTR", 28 => "AAAA", 5 => "CNAME", _ => "?" };
        _queries.Enqueue($"{typeName} {name}");
        (string Name, string Type, string Value)[] known = [.. _records.Where(record => string.Equals(record.Name, name, StringComparison.OrdinalIgnoreCase))];
        string[] values = [.. known.Where(record => record.Type == typeName).Select(record => record.Value)];
        if (values is ["!silent"])
        {
            return null;
        }

        int code = known.Length == 0 ? NameError : values is [['!', .. var digits]] ? int.Parse(digits, System.Globalization.CultureInfo.InvariantCulture) : 0;
        values = code == 0 ? values : [];
        var answer = new List<byte>(query[..(end + 4)].ToArray())
        {
            [2] = 0x81,
            [3] = (byte)(0x80 | code),
            [7] = (byte)values.Length,
            [8] = 0,
            [9] = 0,
            [10] = 0,
            [11] = 0,
        };
        foreach (string value in values)
        {
            byte[] data = typeName == "PTR" ? NameBytes(value) : IPAddress.Parse(value).GetAddressBytes();
            answer.AddRange([0xC0, HeaderBytes, (byte)(type >> 8), (byte)type, 0, 1, 0, 0, 0, TtlSeconds, 0, (byte)data.Length, .. data]);
        }

        return [.. answer];
    }

    private static (string Name, int End) ReadName(ReadOnlySpan<byte> query)
    {
        var name = new StringBuilder();
        int at = HeaderBytes;
        while (query[at] != 0)
        {
            name.Append(name.Length > 0 ? "." : "").Append(Encoding.Latin1.GetString(query.Slice(at + 1, query[at])));
            at += query[at] + 1;
        }

        return (name.ToString(), at + 1);
    }

    private static byte[] NameBytes(string name) =>
        [.. name.Split('.', StringSplitOptions.RemoveEmptyEntries).SelectMany(label => (byte[])[(byte)label.Length, .. Text.Bytes(label)]), 0];
}
