using System.Globalization;
using Postern.Demo.Mail;

namespace Postern.Demo.Imap;

/// <summary>A sequence set such as <c>1,3:5,7:*</c> (RFC 3501 section 9).</summary>
internal static class MessageSet
{
    /// <summary>The messages of the set with their sequence numbers, in order.</summary>
    public static IEnumerable<(int Number, DemoMessage Message)> Select(string set, IReadOnlyList<DemoMessage> messages, bool byUid)
    {
        (uint From, uint To)[] ranges = [.. set.Split(',').Select(part => Range(part, messages, byUid))];
        for (int i = 0; i < messages.Count; i++)
        {
            uint key = byUid ? messages[i].Uid : (uint)i + 1;
            if (ranges.Any(range => key >= range.From && key <= range.To))
            {
                yield return (i + 1, messages[i]);
            }
        }
    }

    private static (uint From, uint To) Range(string part, IReadOnlyList<DemoMessage> messages, bool byUid)
    {
        uint largest = messages.Count == 0 ? 0 : byUid ? messages[^1].Uid : (uint)messages.Count;
        string[] ends = part.Split(':', 2);
        uint first = End(ends[0]);
        uint second = End(ends[^1]);
        return (Math.Min(first, second), Math.Max(first, second));

        uint End(string text) =>
            text == "*" ? largest
            : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) ? number
            : throw new FormatException("not a message set");
    }
}
