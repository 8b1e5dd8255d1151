using System.Text;

namespace Postern.Config.Tests;

/// <summary>A folder that is gone after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    /// <summary>Ends with <c>/</c>.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("postern-config-").FullName + "/";

    public void Write(string name, string content)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path + name)!);
        File.WriteAllText(Path + name, content, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
