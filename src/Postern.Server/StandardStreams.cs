using System.Text;

namespace Postern.Server;

/// <summary>Standard output and standard error, unbuffered, for what the command line prints. Everything else goes to the logs.</summary>
public sealed class StandardStreams(Stream output, Stream error)
{
    /// <summary>Those of the process.</summary>
    public static StandardStreams OfProcess()
    {
#pragma warning disable RS0030 // the one place the ban sends everybody to
        return new StandardStreams(Console.OpenStandardOutput(), Console.OpenStandardError());
#pragma warning restore RS0030
    }

    /// <summary>
    /// For a process that leaves its terminal: the runtime writes to copies of the descriptors, and whoever waits for the end of what we
    /// print (a shell's <c>$(…)</c>, ssh) would wait as long as the service lives. Nothing can be written afterwards.
    /// </summary>
    public void Close()
    {
        output.Dispose();
        error.Dispose();
    }

    /// <summary>Writes bytes to standard output as they are.</summary>
    public void Output(ReadOnlySpan<byte> bytes) => output.Write(bytes);

    /// <summary>Writes text to standard output.</summary>
    public void Output(string text) => Output(Encoding.UTF8.GetBytes(text));

    /// <summary>Writes a line to standard error.</summary>
    /// <param name="line">Without its end.</param>
    public void Error(string line) => error.Write(Encoding.UTF8.GetBytes(line + "\n"));
}
