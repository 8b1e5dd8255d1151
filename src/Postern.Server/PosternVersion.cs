using System.Reflection;

namespace Postern.Server;

/// <summary>What postern calls itself.</summary>
internal static class PosternVersion
{
    /// <summary>The nginx release whose mail part is the measure.</summary>
    private const string CompatibleRelease = "nginx/1.31.5 mail compatible";

    /// <summary><c>postern/0.1.0 (nginx/1.31.5 mail compatible)</c>: start-up notice, <c>-v</c>.</summary>
    public static string Text { get; } =
        $"postern/{typeof(PosternVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion} ({CompatibleRelease})";
}
