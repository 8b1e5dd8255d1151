namespace Postern.Config;

/// <summary>Directive <c>include</c> (mail-proxy reference 1.4).</summary>
internal static class IncludeDirective
{
    public static Directive Row { get; } = Directive.Custom("include", ConfigContexts.Everywhere, 1, 1, Include);

    private static void Include(DirectiveCall call)
    {
        string path = call.Environment.UnderConfigDirectory(call.Arguments[0]);
        if (!FileGlob.IsPattern(path))
        {
            call.ReadFile(path);
            return;
        }

        // no match is not an error: distributions include conf.d/*.conf on spec
        foreach (string match in ConfigFiles.Current.Expand(path))
        {
            call.ReadFile(match);
        }
    }
}
