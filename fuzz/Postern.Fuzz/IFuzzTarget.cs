namespace Postern.Fuzz;

/// <summary>One reader of bytes from outside.</summary>
internal interface IFuzzTarget
{
    /// <summary>Also the folder of its corpus.</summary>
    string Name { get; }

    /// <summary>Words that mutations put in.</summary>
    IReadOnlyList<string> Dictionary { get; }

    /// <summary>Most bytes of an input.</summary>
    int MaxBytes => 600;

    /// <summary>Reads the input; any exception is a finding.</summary>
    void Run(ReadOnlySpan<byte> input);
}

/// <summary>An oracle was hurt.</summary>
internal sealed class OracleException(string message) : Exception(message);

/// <summary>The oracles' asserts.</summary>
internal static class Oracle
{
    public static void Holds(bool condition, string what)
    {
        if (!condition)
        {
            throw new OracleException(what);
        }
    }
}
