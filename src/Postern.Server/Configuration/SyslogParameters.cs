using System.Net;
using Postern.Config;
using Postern.Logging;
using Postern.Net;

namespace Postern.Server.Configuration;

/// <summary>The parameters of <c>error_log syslog:…</c> (mail-proxy reference 1.7).</summary>
internal static class SyslogParameters
{
    private const int SyslogPort = 514;
    private const int MaxTagLength = 32;

    private static readonly string[] _facilities =
    [
        "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp",
        "ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];

    /// <param name="call">Takes errors.</param>
    /// <param name="text">What stands behind <c>syslog:</c>.</param>
    /// <returns>Null after an error, which has been reported.</returns>
    public static SyslogSettings? Parse(DirectiveCall call, string text)
    {
        SyslogSettings? settings = new();
        HashSet<string> seen = [];
        foreach (string parameter in text.Split(','))
        {
            settings = Apply(call, parameter, settings, seen);
            if (settings is null)
            {
                return null;
            }
        }

        if (!seen.Contains("server"))
        {
            call.Error("no syslog server specified");
            return null;
        }

        return settings;
    }

    private static SyslogSettings? Apply(DirectiveCall call, string parameter, SyslogSettings settings, HashSet<string> seen)
    {
        if (parameter == "nohostname")
        {
            return settings with { NoHostName = true };
        }

        string[] pair = parameter.Split('=', 2);
        if (pair is not ["server" or "facility" or "severity" or "tag", string value])
        {
            return Fail(call, $"unknown syslog parameter \"{parameter}\"");
        }

        if (!seen.Add(pair[0]))
        {
            return Fail(call, $"duplicate syslog \"{pair[0]}\"");
        }

        return pair[0] switch
        {
            "server" => WithServer(call, value, settings),
            "facility" => WithFacility(call, value, settings),
            "tag" => WithTag(call, value, settings),
            _ => LogLevelNames.Parse(value) is not null ? settings : Fail(call, $"unknown syslog severity \"{value}\""),
        };
    }

    private static SyslogSettings? WithServer(DirectiveCall call, string value, SyslogSettings settings)
    {
        AddressParser parser = new(call.Environment.ResolveHost);
        if (parser.Parse(value, AddressForm.Host, SyslogPort, out string? error) is not ConfiguredAddress address)
        {
            return Fail(call, $"{error} in syslog server \"{value}\"");
        }

        EndpointAddress first = address.Addresses[0];
        return first.Family == AddressFamilyKind.Unix
            ? settings with { UnixPath = first.UnixPath }
            : settings with { Server = new IPEndPoint(new IPAddress(first.AddressBytes), first.Port) };
    }

    private static SyslogSettings? WithFacility(DirectiveCall call, string value, SyslogSettings settings)
    {
        int facility = Array.IndexOf(_facilities, value);
        return facility < 0 ? Fail(call, $"unknown syslog facility \"{value}\"") : settings with { Facility = facility };
    }

    private static SyslogSettings? WithTag(DirectiveCall call, string value, SyslogSettings settings) =>
        value.Length > MaxTagLength ? Fail(call, "syslog tag length exceeds 32")
        : !value.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_')
            ? Fail(call, "syslog \"tag\" only allows alphanumeric characters and underscore")
        : settings with { Tag = value };

    private static SyslogSettings? Fail(DirectiveCall call, string message)
    {
        call.Error(message);
        return null;
    }
}
