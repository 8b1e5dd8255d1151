using System.Globalization;

namespace Postern.Config;

/// <summary>Carries out one occurrence of a directive. Faults are told to the <see cref="DirectiveCall"/>, not thrown.</summary>
/// <param name="call">The occurrence: arguments, scope, position.</param>
public delegate void DirectiveAction(DirectiveCall call);

/// <summary>
/// One row of a directive table: name, where it may stand, how many arguments it takes and what it does. The row lives
/// beside the feature that reads the value; its default and its type are those of the <see cref="Slot{T}"/> it fills.
/// </summary>
public sealed class Directive
{
    /// <summary>For directives that take any number of arguments.</summary>
    public const int AnyNumber = int.MaxValue;

    private Directive(
        string name, ConfigContexts contexts, int minArguments, int maxArguments, bool isBlock, DirectiveAction apply, Slot? slot)
    {
        Name = name;
        Contexts = contexts;
        MinArguments = minArguments;
        MaxArguments = maxArguments;
        IsBlock = isBlock;
        Apply = apply;
        Slot = slot;
    }

    public string Name { get; }

    public ConfigContexts Contexts { get; }

    /// <summary>The name itself does not count.</summary>
    public int MinArguments { get; }

    /// <summary>The name itself does not count.</summary>
    public int MaxArguments { get; }

    /// <summary>Ended by <c>{</c> instead of <c>;</c>.</summary>
    public bool IsBlock { get; }

    public DirectiveAction Apply { get; }

    /// <summary>What the directive fills, whose default is the directive's; null if that is no single value.</summary>
    public Slot? Slot { get; }

    /// <summary>A directive with a meaning of its own, ended by <c>;</c>.</summary>
    /// <param name="name">The directive's name.</param>
    /// <param name="contexts">Where it may stand.</param>
    /// <param name="minArguments">The name itself does not count.</param>
    /// <param name="maxArguments">The name itself does not count.</param>
    /// <param name="apply">Carries out one occurrence.</param>
    /// <param name="slot">What it fills, if that is a single value with a default.</param>
    public static Directive Custom(
        string name, ConfigContexts contexts, int minArguments, int maxArguments, DirectiveAction apply, Slot? slot = null) =>
        new(name, contexts, minArguments, maxArguments, isBlock: false, apply, slot);

    /// <summary>A block without arguments. The action reads it with <see cref="DirectiveCall.ReadBlock"/>.</summary>
    public static Directive Block(string name, ConfigContexts contexts, DirectiveAction apply) =>
        new(name, contexts, 0, 0, isBlock: true, apply, slot: null);

    /// <summary>A block of another program's part of the configuration, whatever its arguments.</summary>
    public static Directive ForeignBlock(string name, ConfigContexts contexts, DirectiveAction apply) =>
        new(name, contexts, 0, AnyNumber, isBlock: true, apply, slot: null);

    /// <summary><c>on</c> or <c>off</c>.</summary>
    public static Directive Flag(string name, ConfigContexts contexts, Slot<bool> slot) => Once(name, contexts, slot, call =>
    {
        string value = call.Arguments[0];
        if (ValueParsers.Flag(value) is bool flag)
        {
            call.Scope.Set(slot, flag);
        }
        else
        {
            call.Error($"invalid value \"{value}\" in \"{name}\" directive, it must be \"on\" or \"off\"");
        }
    });

    /// <summary>A number; one that does not fit the slot is capped.</summary>
    public static Directive Number(string name, ConfigContexts contexts, Slot<int> slot) => Once(name, contexts, slot, call =>
    {
        if (ValueParsers.Number(call.Arguments[0]) is long value)
        {
            call.Scope.Set(slot, (int)Math.Min(value, int.MaxValue));
        }
        else
        {
            call.Error($"\"{name}\" directive invalid number");
        }
    });

    /// <summary>A size in bytes. One of 2 GiB or more is refused: no buffer can have it.</summary>
    public static Directive Size(string name, ConfigContexts contexts, Slot<int> slot) => Once(name, contexts, slot, call =>
    {
        if (ValueParsers.Size(call.Arguments[0]) is long value and <= int.MaxValue)
        {
            call.Scope.Set(slot, (int)value);
        }
        else
        {
            call.InvalidValue();
        }
    });

    /// <summary>A time with millisecond resolution.</summary>
    public static Directive Milliseconds(string name, ConfigContexts contexts, Slot<TimeSpan> slot) => Once(name, contexts, slot, call =>
    {
        if (ValueParsers.Milliseconds(call.Arguments[0]) is TimeSpan value)
        {
            call.Scope.Set(slot, value);
        }
        else
        {
            call.InvalidValue();
        }
    });

    /// <summary>Any string.</summary>
    public static Directive Text(string name, ConfigContexts contexts, Slot<string?> slot) =>
        Once(name, contexts, slot, call => call.Scope.Set(slot, call.Arguments[0]));

    /// <summary>One keyword, in any letter case.</summary>
    public static Directive Keyword<T>(string name, ConfigContexts contexts, Slot<T> slot, params KeyValuePair<string, T>[] keywords) =>
        Once(name, contexts, slot, call =>
        {
            if (Find(keywords, call.Arguments[0]) is KeyValuePair<string, T> keyword)
            {
                call.Scope.Set(slot, keyword.Value);
            }
            else
            {
                call.Error($"invalid value \"{call.Arguments[0]}\"");
            }
        });

    /// <summary>
    /// Keywords in any letter case whose bits are united, over all occurrences on one level. A scope that names any hides the
    /// enclosing scope's.
    /// </summary>
    public static Directive Keywords(string name, ConfigContexts contexts, Slot<int> slot, params KeyValuePair<string, int>[] keywords) =>
        Custom(name, contexts, 1, AnyNumber, call =>
        {
            int bits = call.Scope.Sets(slot) ? call.Scope.GetOwn(slot) : 0;
            foreach (string argument in call.Arguments)
            {
                if (Find(keywords, argument) is not KeyValuePair<string, int> keyword)
                {
                    call.Error($"invalid value \"{argument}\"");
                    return;
                }

                if ((bits & keyword.Value) != 0)
                {
                    call.Warn($"duplicate value \"{argument}\"");
                }

                bits |= keyword.Value;
            }

            call.Scope.Set(slot, bits);
        }, slot);

    /// <summary>Words that are appended to the level's list.</summary>
    public static Directive Words(string name, ConfigContexts contexts, Slot<IReadOnlyList<string>> slot) =>
        Custom(name, contexts, 1, AnyNumber, call =>
        {
            foreach (string word in call.Arguments)
            {
                call.Scope.Append(slot, word);
            }
        }, slot);

    /// <summary>A directive with one argument and a meaning of its own that may stand once on a level.</summary>
    /// <param name="slot">Says by being set that the directive has been seen; <paramref name="apply"/> sets it.</param>
    /// <param name="name">The directive's name.</param>
    /// <param name="contexts">Where it may stand.</param>
    /// <param name="apply">Runs when the directive is no duplicate.</param>
    public static Directive Once(string name, ConfigContexts contexts, Slot slot, DirectiveAction apply) =>
        Once(name, contexts, 1, 1, slot, apply);

    /// <summary>As <see cref="Once(string, ConfigContexts, Slot, DirectiveAction)"/>, with another number of arguments.</summary>
    public static Directive Once(
        string name, ConfigContexts contexts, int minArguments, int maxArguments, Slot slot, DirectiveAction apply) =>
        Custom(name, contexts, minArguments, maxArguments, call =>
        {
            if (call.Scope.Sets(slot))
            {
                call.Error($"\"{name}\" directive is duplicate");
                return;
            }

            apply(call);
        }, slot);

    private static KeyValuePair<string, T>? Find<T>(KeyValuePair<string, T>[] keywords, string text)
    {
        foreach (KeyValuePair<string, T> keyword in keywords)
        {
            if (keyword.Key.Equals(text, StringComparison.OrdinalIgnoreCase))
            {
                return keyword;
            }
        }

        return null;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name} ({Contexts})");
}
