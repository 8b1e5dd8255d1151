namespace Postern.Config;

/// <summary>
/// The values set in one block. Reading falls back to the enclosing scope and then to the default, value by value, which
/// is nginx's merge: a block that sets a value, or one entry of a list, hides all the enclosing block said about it.
/// </summary>
/// <param name="parent">The scope whose values are inherited, or null.</param>
/// <param name="opened">The line of the opening brace.</param>
public sealed class ConfigScope(ConfigScope? parent, ConfigPosition opened)
{
    private readonly Dictionary<Slot, object?> _values = [];

    public ConfigScope? Parent { get; } = parent;

    /// <summary>The line of the opening brace.</summary>
    public ConfigPosition Opened { get; } = opened;

    /// <summary>Whether this block itself, not an enclosing one, set the value.</summary>
    public bool Sets(Slot slot) => _values.ContainsKey(slot);

    public void Set<T>(Slot<T> slot, T value) => _values[slot] = value;

    /// <summary>The merged value. Meaningful once the whole enclosing block has been read.</summary>
    public T Get<T>(Slot<T> slot)
    {
        ArgumentNullException.ThrowIfNull(slot);
        for (ConfigScope? scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope._values.TryGetValue(slot, out object? value))
            {
                return (T)value!;
            }
        }

        return slot.Default;
    }

    /// <summary>The value this block itself set, or the default.</summary>
    public T GetOwn<T>(Slot<T> slot)
    {
        ArgumentNullException.ThrowIfNull(slot);
        return _values.TryGetValue(slot, out object? value) ? (T)value! : slot.Default;
    }

    /// <summary>Adds an entry to the list this block has of its own.</summary>
    public void Append<T>(Slot<IReadOnlyList<T>> slot, T item)
    {
        if (_values.TryGetValue(slot, out object? list))
        {
            ((List<T>)list!).Add(item);
        }
        else
        {
            _values[slot] = new List<T> { item };
        }
    }
}
