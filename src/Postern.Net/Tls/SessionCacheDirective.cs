using System.Globalization;
using Postern.Config;

namespace Postern.Net.Tls;

/// <summary>
/// Directive <c>ssl_session_cache</c> (TLS reference 3.15). It has two halves that are inherited each on its own: off, none or
/// builtin, and shared.
/// </summary>
internal static class SessionCacheDirective
{
    /// <summary>Size of <c>builtin</c> without a number, in sessions.</summary>
    private const long DefaultBuiltinSessions = 20480;

    private const string BuiltinPrefix = "builtin:";
    private const string SharedPrefix = "shared:";

    public static readonly Slot<SessionCacheMode> Mode = new(SessionCacheMode.None);
    public static readonly Slot<long> BuiltinSessions = new(DefaultBuiltinSessions);
    public static readonly Slot<SharedCacheZone?> Shared = new(null);

    /// <summary>In the mail scope: every zone declared so far.</summary>
    private static readonly Slot<IReadOnlyList<SharedCacheZone>> _zones = new([]);

    /// <summary>nginx's least size, 8 pages: less would hold next to nothing.</summary>
    private static readonly long _leastBytes = 8L * Environment.SystemPageSize;

    public static void Read(DirectiveCall call)
    {
        foreach (string word in call.Arguments)
        {
            if (!TryRead(call, word))
            {
                return;
            }
        }

        // Naming only a shared cache also says that there is no builtin one, whatever the mail block has.
        if (!call.Scope.Sets(Mode))
        {
            call.Scope.Set(Mode, SessionCacheMode.NotBuiltin);
        }
    }

    private static bool TryRead(DirectiveCall call, string word)
    {
        switch (word)
        {
            case "off":
                call.Scope.Set(Mode, SessionCacheMode.Off);
                return true;
            case "none":
                call.Scope.Set(Mode, SessionCacheMode.None);
                return true;
            case "builtin":
                SetBuiltin(call, DefaultBuiltinSessions);
                return true;
            default:
                break;
        }

        if (word.StartsWith(BuiltinPrefix, StringComparison.Ordinal) && ValueParsers.Number(word[BuiltinPrefix.Length..]) is long sessions)
        {
            SetBuiltin(call, sessions);
            return true;
        }

        if (ParseZone(word) is { } zone)
        {
            return TryDeclare(call, word, zone);
        }

        call.Error($"invalid session cache \"{word}\"");
        return false;
    }

    private static void SetBuiltin(DirectiveCall call, long sessions)
    {
        call.Scope.Set(Mode, SessionCacheMode.Builtin);
        call.Scope.Set(BuiltinSessions, sessions);
    }

    /// <summary><c>shared:NAME:SIZE</c>, the name not empty.</summary>
    private static SharedCacheZone? ParseZone(string word)
    {
        if (!word.StartsWith(SharedPrefix, StringComparison.Ordinal))
        {
            return null;
        }

        string[] parts = word[SharedPrefix.Length..].Split(':', 2);
        return parts is [{ Length: > 0 } name, string size] && ValueParsers.Size(size) is long bytes ? new SharedCacheZone(name, bytes) : null;
    }

    private static bool TryDeclare(DirectiveCall call, string word, SharedCacheZone zone)
    {
        if (zone.Bytes < _leastBytes)
        {
            call.Error($"session cache \"{word}\" is too small");
            return false;
        }

        ConfigScope mail = call.Scope.Parent ?? call.Scope;
        SharedCacheZone? known = mail.GetOwn(_zones).FirstOrDefault(declared => declared.Name == zone.Name);
        if (known is not null && known.Bytes != zone.Bytes)
        {
            call.Error(string.Create(
                CultureInfo.InvariantCulture,
                $"the size {zone.Bytes} of shared memory zone \"{zone.Name}\" conflicts with already declared size {known.Bytes}"));
            return false;
        }

        if (known is null)
        {
            mail.Append(_zones, zone);
        }

        call.Scope.Set(Shared, zone);
        return true;
    }
}
