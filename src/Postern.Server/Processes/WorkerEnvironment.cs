namespace Postern.Server.Processes;

/// <summary>Directive <c>env</c>: the variables a worker has.</summary>
internal static class WorkerEnvironment
{
    /// <summary>Kept beside <c>TZ</c>: in nginx they act before the environment is cleaned, in the master.</summary>
    private const string LibraryPrefix = "OPENSSL_";

    /// <returns><c>NAME=value</c> each.</returns>
    public static IReadOnlyList<string> Of(MainSettings settings)
    {
        IReadOnlyList<string> own = ProcessRole.ForeignEnvironment();
        IEnumerable<string> kept = own.Where(entry => entry.StartsWith("TZ=", StringComparison.Ordinal) || entry.StartsWith(LibraryPrefix, StringComparison.Ordinal));
        Dictionary<string, string> result = new(StringComparer.Ordinal);
        foreach (string entry in kept.Concat(settings.Environment.SelectMany(variable => Find(variable, own))))
        {
            result[entry[..entry.IndexOf('=', StringComparison.Ordinal)]] = entry;
        }

        return [.. result.Values.Order(StringComparer.Ordinal)];
    }

    /// <summary>A name stands for the variable as inherited, if there is one.</summary>
    private static IEnumerable<string> Find(string variable, IEnumerable<string> own) => variable.Contains('=', StringComparison.Ordinal)
        ? [variable]
        : own.Where(entry => entry.StartsWith(variable + "=", StringComparison.Ordinal));
}
