namespace Postern.Config;

/// <summary>The key under which a <see cref="ConfigScope"/> keeps what a directive said.</summary>
public abstract class Slot
{
    private protected Slot()
    {
    }
}

/// <summary>A <see cref="Slot"/> for values of type <typeparamref name="T"/>.</summary>
/// <param name="defaultValue">What the directive means when it is given nowhere.</param>
public sealed class Slot<T>(T defaultValue) : Slot
{
    /// <summary>What the directive means when it is given nowhere.</summary>
    public T Default { get; } = defaultValue;
}
