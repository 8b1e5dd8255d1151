using Postern.Config;

namespace Postern.Server.Configuration;

/// <summary>
/// Directive <c>thread_pool</c>: checked and otherwise without effect, because nothing a mail proxy does uses nginx's pools.
/// </summary>
internal static class ThreadPoolDirective
{
    private static readonly Slot<HashSet<string>?> _names = new(null);

    public static Directive Row { get; } = Directive.Custom("thread_pool", ConfigContexts.Main, 2, 3, Read);

    private static void Read(DirectiveCall call)
    {
        HashSet<string> names = call.Scope.GetOwn(_names) ?? [];
        call.Scope.Set(_names, names);
        if (!names.Add(call.Arguments[0]))
        {
            call.Error($"duplicate thread pool \"{call.Arguments[0]}\"");
            return;
        }

        bool hasThreads = false;
        foreach (string parameter in call.Arguments.Skip(1))
        {
            if (!Check(call, parameter, "threads") || !Check(call, parameter, "max_queue"))
            {
                return;
            }

            hasThreads |= parameter.StartsWith("threads=", StringComparison.Ordinal);
        }

        if (!hasThreads)
        {
            call.Error("\"thread_pool\" must have \"threads\" parameter");
        }
    }

    private static bool Check(DirectiveCall call, string parameter, string name)
    {
        if (!parameter.StartsWith(name + "=", StringComparison.Ordinal))
        {
            return true;
        }

        long? number = ValueParsers.Number(parameter[(name.Length + 1)..]);
        if (number is null || (number == 0 && name == "threads"))
        {
            call.Error($"invalid {name} value \"{parameter}\"");
            return false;
        }

        return true;
    }
}
