using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Postern.TestKit.Hostile;

/// <summary>Answers to a PTR query that no honest name server sends.</summary>
public static class HostileAnswers
{
    private const int HeaderBytes = 12;
    private const int Ptr = 12;
    private const int Cname = 5;

    /// <summary>Makes an answer of a query; the question and the id are the query's where nothing else is said.</summary>
    public static IReadOnlyList<(string What, Func<byte[], byte[]> Answer)> Cases { get; } =
    [
        ("nothing", _ => []),
        ("one byte", _ => [0]),
        ("half a header", query => query[..6]),
        ("another id", query => Change(Records(query, Ptr, Name("evil.test")), 0, (byte)(query[0] ^ 0xFF))),
        ("another question", query => Change(Records(query, Ptr, Name("evil.test")), HeaderBytes + 1, (byte)'x')),
        ("a question, no answer bit", query => query),
        ("records announced that are not there", query => Change(Change(Records(query), 6, 0xFF), 7, 0xFF)),
        ("questions announced that are not there", query => Change(Records(query), 4, 0xFF)),
        ("a label past the end", query => Records(query, Ptr, [63, (byte)'a'])),
        ("record data past the end", query => Change(Records(query, Ptr, Name("evil.test")), ^12, 0xFF)),
        ("a pointer to itself", query => Records(query, Ptr, [0xC0, DataAt(query)])),
        ("two pointers in a circle", query => Records(query, Ptr, [0xC0, (byte)(DataAt(query) + 2), 0xC0, DataAt(query)])),
        ("a pointer past the end", query => Records(query, Ptr, [0xFF, 0xFF])),
        ("a name that is too long", query => Records(query, Ptr, Name(string.Join('.', Enumerable.Repeat(new string('a', 63), 5))))),
        ("a label of a reserved kind", query => Records(query, Ptr, [0x80, 1, 0])),
        ("an alias for itself", query => Records(query, Cname, [0xC0, HeaderBytes])),
        ("a thousand aliases", query => Records(query, [.. Enumerable.Range(0, 1000).Select(i => (Cname, Name($"a{i}.test")))])),
        ("an address where a name belongs", query => Records(query, 1, [192, 0, 2, 1])),
        ("empty record data", query => Records(query, Ptr, [])),
        ("cut off, the rest over TCP where nobody is", query => Change(Records(query), 2, 0x83)),
    ];

    /// <summary>Answers every query until stopped.</summary>
    public static async Task ServeAsync(Socket socket, Func<byte[], byte[]> answer, CancellationToken stop)
    {
        byte[] buffer = new byte[4096];
        try
        {
            while (true)
            {
                SocketReceiveFromResult query = await socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0), stop);
                await socket.SendToAsync(answer(buffer[..query.ReceivedBytes]), query.RemoteEndPoint, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    /// <summary>An answer of so many names, none of which points back.</summary>
    public static byte[] ManyNames(byte[] query, int count) =>
        Records(query, [.. Enumerable.Range(0, count).Select(i => (Ptr, Name(string.Create(CultureInfo.InvariantCulture, $"h{i}.test"))))]);

    private static byte[] Records(byte[] query, int type, byte[] data) => Records(query, (type, data));

    /// <summary>The query as an answer, additional records (EDNS) taken out, with these records for the name asked about.</summary>
    private static byte[] Records(byte[] query, params (int Type, byte[] Data)[] records)
    {
        var answer = new List<byte>(query[..QuestionEnd(query)])
        {
            [2] = 0x81,
            [3] = 0x80,
            [6] = (byte)(records.Length >> 8),
            [7] = (byte)records.Length,
            [10] = 0,
            [11] = 0,
        };
        foreach ((int type, byte[] data) in records)
        {
            answer.AddRange([0xC0, HeaderBytes, 0, (byte)type, 0, 1, 0, 0, 0, 60, (byte)(data.Length >> 8), (byte)data.Length, .. data]);
        }

        return [.. answer];
    }

    /// <summary>Where the data of the only record of an answer begins: behind its pointer, type, class, TTL and length.</summary>
    private static byte DataAt(byte[] query) => (byte)(QuestionEnd(query) + 12);

    private static int QuestionEnd(byte[] query) => HeaderBytes + query.AsSpan(HeaderBytes).IndexOf((byte)0) + 5;

    private static byte[] Name(string name) =>
        [.. name.Split('.').SelectMany(label => (byte[])[(byte)label.Length, .. Text.Bytes(label)]), 0];

    private static byte[] Change(byte[] answer, Index at, byte value)
    {
        answer[at] = value;
        return answer;
    }
}
