using System.Security.Cryptography;
using Postern.Config;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>
/// The passphrases of an <c>ssl_password_file</c>, one a line. They stay in pinned memory, so that no copy is left behind when
/// they are cleared.
/// </summary>
public sealed unsafe class KeyPassphrases
{
    /// <summary>Holds one line with its line feed: 4095 bytes are the longest passphrase.</summary>
    private const int BufferBytes = 4096;

    private readonly List<byte[]> _lines = [];

    private KeyPassphrases()
    {
    }

    /// <summary>At least one; a file without any stands for one empty passphrase.</summary>
    internal IReadOnlyList<byte[]> Lines => _lines;

    /// <summary>Reads the file to its end; a named pipe is waited for.</summary>
    /// <param name="path">Absolute.</param>
    /// <param name="fault">Why it could not be read, in nginx's words.</param>
    /// <returns>Null if there is a fault.</returns>
    public static KeyPassphrases? TryRead(string path, out string fault)
    {
        if (ConfigFiles.Current.TryReadSecret(path) is { } content)
        {
            return FromContent(content, path, out fault);
        }

        int file = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (file < 0)
        {
            fault = $"open() \"{path}\" failed ({Errno.LastText()})";
            return null;
        }

        var passphrases = new KeyPassphrases();
        byte[] buffer = GC.AllocateArray<byte>(BufferBytes, pinned: true);
        try
        {
            fault = passphrases.Read(file, path, buffer);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(buffer);
            _ = Libc.close(file);
        }

        if (fault.Length > 0)
        {
            passphrases.Clear();
            return null;
        }

        if (passphrases._lines.Count == 0)
        {
            passphrases._lines.Add([]);
        }

        return passphrases;
    }

    /// <summary>Wipes them. No key can be opened with them any more.</summary>
    public void Clear()
    {
        _lines.ForEach(line => CryptographicOperations.ZeroMemory(line));
        _lines.Clear();
    }

    /// <summary>Never the passphrases.</summary>
    public override string ToString() => nameof(KeyPassphrases);

    /// <param name="content">The whole file; wiped.</param>
    private static KeyPassphrases? FromContent(byte[] content, string path, out string fault)
    {
        var passphrases = new KeyPassphrases();
        fault = "";
        ReadOnlySpan<byte> rest = content;
        while (!rest.IsEmpty && fault.Length == 0)
        {
            int end = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = end < 0 ? rest : rest[..end];
            rest = end < 0 ? [] : rest[(end + 1)..];
            if (line.Length >= BufferBytes)
            {
                fault = $"too long line in \"{path}\"";
                break;
            }

            passphrases.Add(line);
        }

        CryptographicOperations.ZeroMemory(content);
        if (fault.Length > 0)
        {
            passphrases.Clear();
            return null;
        }

        if (passphrases._lines.Count == 0)
        {
            passphrases._lines.Add([]);
        }

        return passphrases;
    }

    /// <returns>The fault, or nothing.</returns>
    private string Read(int file, string path, byte[] buffer)
    {
        int length = 0;
        while (true)
        {
            int n = ReadInto(file, buffer.AsSpan(length));
            if (n < 0)
            {
                return $"read() \"{path}\" failed ({Errno.LastText()})";
            }

            if (n == 0)
            {
                Add(buffer.AsSpan(0, length));
                return "";
            }

            length = TakeLines(buffer, length + n);
            if (length == buffer.Length)
            {
                return $"too long line in \"{path}\"";
            }
        }
    }

    /// <returns>Length of the incomplete line that is left, now at the front of the buffer.</returns>
    private int TakeLines(byte[] buffer, int length)
    {
        Span<byte> rest = buffer.AsSpan(0, length);
        int end;
        while ((end = rest.IndexOf((byte)'\n')) >= 0)
        {
            Add(rest[..end]);
            rest = rest[(end + 1)..];
        }

        rest.CopyTo(buffer);
        return rest.Length;
    }

    private void Add(ReadOnlySpan<byte> line)
    {
        line = line.EndsWith("\r"u8) ? line[..^1] : line;
        if (!line.IsEmpty)
        {
            byte[] passphrase = GC.AllocateArray<byte>(line.Length, pinned: true);
            line.CopyTo(passphrase);
            _lines.Add(passphrase);
        }
    }

    private static int ReadInto(int file, Span<byte> target)
    {
        fixed (byte* start = target)
        {
            return (int)Libc.read(file, start, (nuint)target.Length);
        }
    }
}
