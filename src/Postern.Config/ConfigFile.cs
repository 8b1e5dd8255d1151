namespace Postern.Config;

/// <summary>One configuration file that was read, for <c>-T</c>.</summary>
/// <param name="Path">As opened.</param>
/// <param name="Content">The bytes as read.</param>
public sealed record ConfigFile(string Path, ReadOnlyMemory<byte> Content);
