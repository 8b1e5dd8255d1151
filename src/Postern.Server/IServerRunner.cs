using Postern.Config;

namespace Postern.Server;

/// <summary>What happens with a configuration once it has been read and found right.</summary>
public interface IServerRunner
{
    /// <summary>Whether <see cref="Run"/> might start a worker process, which reads certificates and keys itself; if not, this process must.</summary>
    bool MayStartWorker { get; }

    /// <summary>Whether <see cref="Run"/> would do so with this configuration.</summary>
    bool StartsWorker(MainSettings settings);

    /// <summary>Opens logs, writes the pid file, binds, and serves until told to stop.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="messages">
    /// What was said while it was read, already on standard error but for the notices; belongs in the log as well.
    /// </param>
    /// <param name="commandLine">For reloads.</param>
    /// <returns>The exit code.</returns>
    int Run(MainSettings settings, IReadOnlyList<ConfigMessage> messages, CommandLine commandLine);

    /// <summary>
    /// The rest of <c>-t</c>: opens certificates and logs, creates the pid file if it is missing and tries to bind, then undoes
    /// what it can. An address in use is no fault.
    /// </summary>
    /// <returns>What was found, in order; an error among it fails the test.</returns>
    IReadOnlyList<ConfigMessage> Test(MainSettings settings, CommandLine commandLine);
}
