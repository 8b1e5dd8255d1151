using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Postern.Interop;

namespace Postern.Net.Tls;

/// <summary>Turns this thread's OpenSSL error queue into the text nginx logs, and empties it.</summary>
public static unsafe class OpenSslErrors
{
    /// <summary>
    /// Reason numbers that are the peer's doing (tls-directives.md section 8); alerts received are 1000–1255.
    /// </summary>
    private static readonly HashSet<int> _peerReasons =
    [
        101, 103, 108, 110, 111, 112, 115, 118, 122, 129, 133, 145, 146, 149, 150, 151, 152, 154, 155, 156, 159, 160, 183, 186,
        187, 193, 198, 205, 213, 226, 227, 234, 235, 244, 245, 246, 252, 258, 267, 271, 281, 291, 292, 293, 298, 300, 306, 313,
        335, 336, 337, 338, 339, 345, 373, 376, 377, 396, 409, 443,
    ];

    /// <summary>Empties the queue, before a call whose failure is looked up in it. Nearly always it is empty, and looking is cheaper than emptying.</summary>
    public static void Clear()
    {
        if (Libcrypto.ERR_peek_error() != 0)
        {
            Libcrypto.ERR_clear_error();
        }
    }

    /// <summary>Whether the newest entry of the queue is a mistake of the peer. Leaves the queue as it is.</summary>
    public static bool LastIsPeersFault()
    {
        nuint error = Libcrypto.ERR_peek_last_error();
        int reason = (int)(error & 0x7FFFFF);
        return reason is >= 1000 and <= 1255 || _peerReasons.Contains(reason);
    }

    /// <summary>
    /// The queue, oldest entry first, as nginx appends it to a message: <c> (SSL: error:… error:…)</c>; empty if the queue is.
    /// </summary>
    public static string Drain()
    {
        StringBuilder? text = null;
        const int TextBytes = 256;
        byte* buffer = stackalloc byte[TextBytes];
        nint file, function, data;
        int line, flags;
        nuint error;
        while ((error = Libcrypto.ERR_get_error_all(&file, &line, &function, &data, &flags)) != 0)
        {
            Libcrypto.ERR_error_string_n(error, buffer, TextBytes);
            text ??= new StringBuilder(" (SSL:");
            text.Append(CultureInfo.InvariantCulture, $" {Marshal.PtrToStringUTF8((nint)buffer)}");
            if ((flags & Libcrypto.ERR_TXT_STRING) != 0 && Marshal.PtrToStringUTF8(data) is { Length: > 0 } detail)
            {
                text.Append(CultureInfo.InvariantCulture, $":{detail}");
            }
        }

        return text is null ? "" : text.Append(')').ToString();
    }
}
