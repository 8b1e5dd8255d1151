using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Postern.Config;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>
/// Where PEM text comes from: an absolute path, or <c>data:</c> followed by the text itself. Opened as a BIO; the text of
/// a <c>data:</c> source lives in native memory that is cleared on dispose, because it may be a private key.
/// </summary>
internal sealed unsafe class PemSource : IDisposable
{
    private const string DataPrefix = "data:";
    private byte* _data;
    private int _length;

    private PemSource()
    {
    }

    public nint Bio { get; private set; }

    /// <summary>The source as it may be printed: never the content of <c>data:</c>, nor the PIN in the URI of a token's key (RFC 7512 section 2.4).</summary>
    public static string Shown(string source)
    {
        const string PinAttribute = "pin-value=";
        if (source.StartsWith(DataPrefix, StringComparison.Ordinal))
        {
            return "data:...";
        }

        int name = source.IndexOf(PinAttribute, StringComparison.OrdinalIgnoreCase);
        if (name < 0)
        {
            return source;
        }

        int value = name + PinAttribute.Length;
        int length = source.AsSpan(value).IndexOfAny(";&?");
        return string.Concat(source.AsSpan(0, value), "...", length < 0 ? "" : source.AsSpan(value + length));
    }

    /// <exception cref="TlsSettingsException"><c>cannot load WHAT "SOURCE": BIO_new_file() failed</c>.</exception>
    public static PemSource Open(string source, string what)
    {
        var pem = new PemSource();
        Libcrypto.ERR_clear_error();
        if (source.StartsWith(DataPrefix, StringComparison.Ordinal))
        {
            pem.OpenData(source[DataPrefix.Length..]);
        }
        else
        {
            pem.OpenPath(source);
        }

        return pem.Bio != 0 ? pem : throw TlsContextFactory.Failure($"cannot load {what} \"{Shown(source)}\": BIO_new_file() failed");
    }

    /// <summary>As <see cref="Open"/>, where <c>data:</c> has no meaning.</summary>
    /// <exception cref="TlsSettingsException"><c>cannot load WHAT "PATH": BIO_new_file() failed</c>.</exception>
    public static PemSource OpenFile(string path, string what) =>
        TryOpenFile(path) ?? throw TlsContextFactory.Failure($"cannot load {what} \"{path}\": BIO_new_file() failed");

    /// <summary>As <see cref="OpenFile"/>, in the words for <c>ssl_dhparam</c>.</summary>
    /// <exception cref="TlsSettingsException"><c>BIO_new_file("PATH") failed</c>.</exception>
    public static PemSource OpenParameters(string path) =>
        TryOpenFile(path) ?? throw TlsContextFactory.Failure($"BIO_new_file(\"{path}\") failed");

    /// <summary>
    /// After a PEM function found nothing more: whether that was the end of the text, and not something broken. "No start line" is
    /// how PEM says that the text is at its end; it is taken out of the queue.
    /// </summary>
    public static bool TakeEnd()
    {
        nuint error = Libcrypto.ERR_peek_last_error();
        if ((int)((error >> 23) & 0xFF) != Libcrypto.ERR_LIB_PEM || (int)(error & 0x7FFFFF) != Libcrypto.PEM_R_NO_START_LINE)
        {
            return false;
        }

        Libcrypto.ERR_clear_error();
        return true;
    }

    public void Dispose()
    {
        if (Bio != 0)
        {
            _ = Libcrypto.BIO_free(Bio);
            Bio = 0;
        }

        if (_data != null)
        {
            new Span<byte>(_data, _length).Clear();
            NativeMemory.Free(_data);
            _data = null;
        }
    }

    private static PemSource? TryOpenFile(string path)
    {
        var pem = new PemSource();
        Libcrypto.ERR_clear_error();
        pem.OpenPath(path);
        return pem.Bio != 0 ? pem : null;
    }

    /// <summary>The bytes somebody read for us, or else the file itself.</summary>
    private void OpenPath(string path)
    {
        if (ConfigFiles.Current.TryReadSecret(path) is not { } content)
        {
            Bio = Libcrypto.BIO_new_file(path, "r");
            return;
        }

        _length = content.Length;
        _data = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, _length));
        content.CopyTo(new Span<byte>(_data, _length));
        CryptographicOperations.ZeroMemory(content);
        Bio = Libcrypto.BIO_new_mem_buf(_data, _length);
    }

    private void OpenData(string text)
    {
        _length = Encoding.UTF8.GetByteCount(text);
        _data = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, _length));
        Encoding.UTF8.GetBytes(text, new Span<byte>(_data, _length));
        Bio = Libcrypto.BIO_new_mem_buf(_data, _length);
    }
}
