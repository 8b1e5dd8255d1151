using Postern.Config;
using Postern.Server.Configuration;

namespace Postern.Server;

/// <summary>Does what the command line says.</summary>
/// <param name="runner">Serves, and does the part of <c>-t</c> that touches the system.</param>
/// <param name="demo">Runs <c>postern demo</c> with the arguments behind the word; returns the exit code.</param>
/// <param name="openSslVersion">The loaded library, as <c>OpenSSL 3.0.19 27 Jan 2026</c>; asked only for <c>-V</c>.</param>
/// <param name="streams">Where lines go.</param>
public sealed class PosternCommand(
    IServerRunner runner, Func<IReadOnlyList<string>, int> demo, Func<string> openSslVersion, StandardStreams streams)
{
    // Scripts look for this word in front of messages, so it is not ours.
    private const string MessagePrefix = "nginx: ";

    private const int Failure = 1;

    private static readonly string _help = $"""
        Usage: postern [-?hvVtTq] [-s signal] [-p prefix]
                       [-e filename] [-c filename] [-g directives]
               postern demo

        Options:
          -?,-h         : this help
          -v            : show version and exit
          -V            : show version and configure options then exit
          -t            : test configuration and exit
          -T            : test configuration, dump it and exit
          -q            : suppress non-error messages during configuration testing
          -s signal     : send signal to a master process: stop, quit, reopen, reload
          -p prefix     : set prefix path (default: {DefaultPaths.Prefix})
          -e filename   : set error log file (default: {DefaultPaths.ErrorLog})
          -c filename   : set configuration file (default: {DefaultPaths.ConfigFile})
          -g directives : set global directives out of configuration file

        """;

    /// <summary>Leaves out warnings about the configuration.</summary>
    public bool ErrorsOnly { get; init; }

    /// <param name="arguments">Without the program's name.</param>
    /// <returns>The exit code.</returns>
    public int Execute(IReadOnlyList<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        if (arguments is ["demo", ..])
        {
            return demo([.. arguments.Skip(1)]);
        }

        if (CommandLine.Parse(arguments, out string? error) is not CommandLine options)
        {
            streams.Error(MessagePrefix + error);
            return Failure;
        }

        if (options.ShowVersion)
        {
            ShowVersion(options);
        }

        // as nginx: -v beside -t shows the version and goes on
        return options.ShowVersion && !options.Test ? 0 : Configure(options);
    }

    private void ShowVersion(CommandLine options)
    {
        streams.Error($"nginx version: {PosternVersion.Text}");
        if (options.ShowHelp)
        {
            streams.Error(_help);
        }

        if (options.ShowBuild)
        {
            streams.Error($"built with {openSslVersion()}");
            streams.Error("TLS SNI support enabled");
            streams.Error("configure arguments: --with-mail --with-mail_ssl_module");
        }
    }

    private int Configure(CommandLine options)
    {
        ConfigurationResult configuration = Load(options);
        Show(configuration.Messages);
        if (options.Test)
        {
            return Test(options, configuration);
        }

        Show(configuration.FinalMessages);
        if (configuration.Settings is not MainSettings settings)
        {
            return Failure;
        }

        return options.Signal is null
            ? runner.Run(settings, [.. configuration.AllMessages], options)
            : Signal(options.Signal, settings);
    }

    /// <summary>
    /// Where a worker process will serve, TLS is left to it: starting OpenSSL twice would double the cost of the start. Whatever is wrong
    /// elsewhere is told as it is when everything is read in order.
    /// </summary>
    private ConfigurationResult Load(CommandLine options)
    {
        if (runner.MayStartWorker && !options.Test && options.Signal is null)
        {
            ConfigurationResult result = ConfigurationLoader.Load(options.ToSource() with { DefersTls = true });
            if (result.Settings is { } settings && runner.StartsWorker(settings))
            {
                return result;
            }
        }

        return ConfigurationLoader.Load(options.ToSource());
    }

    private int Test(CommandLine options, ConfigurationResult configuration)
    {
        if (configuration.IsSyntaxOk && !options.Quiet)
        {
            streams.Error($"{MessagePrefix}the configuration file {configuration.ConfigPath} syntax is ok");
        }

        Show(configuration.FinalMessages);
        if (!TestSettings(options, configuration))
        {
            streams.Error($"{MessagePrefix}configuration file {configuration.ConfigPath} test failed");
            return Failure;
        }

        if (!options.Quiet)
        {
            streams.Error($"{MessagePrefix}configuration file {configuration.ConfigPath} test is successful");
        }

        if (options.Dump)
        {
            Dump(configuration.Files);
        }

        return 0;
    }

    private bool TestSettings(CommandLine options, ConfigurationResult configuration)
    {
        if (configuration.Settings is not MainSettings settings)
        {
            return false;
        }

        IReadOnlyList<ConfigMessage> found = runner.Test(settings, options);
        Show(found);
        return !found.Any(message => message.IsError);
    }

    private void Dump(IReadOnlyList<ConfigFile> files)
    {
        foreach (ConfigFile file in files)
        {
            streams.Output($"# configuration file {file.Path}:\n");
            streams.Output(file.Content.Span);
            streams.Output("\n");
        }
    }

    private int Signal(string signal, MainSettings settings)
    {
        if (SignalSender.Send(signal, settings.PidFile) is not string fault)
        {
            return 0;
        }

        streams.Error(MessagePrefix + fault);
        return Failure;
    }

    /// <summary>Notices are for the log only.</summary>
    private void Show(IEnumerable<ConfigMessage> messages)
    {
        foreach (ConfigMessage message in messages.Where(message => ErrorsOnly ? message.IsError : message.Severity != ConfigSeverity.Notice))
        {
            streams.Error(MessagePrefix + message.Render());
        }
    }
}
