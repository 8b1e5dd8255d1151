using System.Buffers;

namespace Postern.Protocol.Http;

/// <summary>Recognises an HTTP client that talks to a mail port (cross-protocol attacks such as ALPACA).</summary>
public static class HttpRequestLine
{
    private static readonly SearchValues<byte> _versionBytes = SearchValues.Create("0123456789."u8);

    /// <summary>
    /// Whether the line is <c>METHOD … HTTP/version</c> with one of GET, HEAD, POST, PUT, OPTIONS, CONNECT. Such a client gets the
    /// protocol's invalid-command reply without any of its bytes, and is closed at once.
    /// </summary>
    /// <param name="line">One line, with or without its line end.</param>
    public static bool IsMatch(ReadOnlySpan<byte> line)
    {
        line = line.TrimEnd("\r\n"u8);
        int methodEnd = line.IndexOf((byte)' ');
        if (methodEnd is < 3 or > 7 || !IsMethod(line[..methodEnd]))
        {
            return false;
        }

        ReadOnlySpan<byte> last = line[(line.LastIndexOf((byte)' ') + 1)..];
        return last.StartsWith("HTTP/"u8) && last.Length > 5 && !last[5..].ContainsAnyExcept(_versionBytes);
    }

    private static bool IsMethod(ReadOnlySpan<byte> word) => word.SequenceEqual("GET"u8) || word.SequenceEqual("POST"u8)
        || word.SequenceEqual("HEAD"u8) || word.SequenceEqual("PUT"u8) || word.SequenceEqual("OPTIONS"u8)
        || word.SequenceEqual("CONNECT"u8);
}
