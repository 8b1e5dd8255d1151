using System.Runtime.InteropServices;
using Postern.Interop;

namespace Postern.Server.Running;

/// <summary>The signals of mail-proxy 1.9, handed to one callback. Disposing restores the defaults.</summary>
internal sealed class SignalHandlers : IDisposable
{
    public const int Hup = 1;
    public const int Int = 2;
    public const int Quit = 3;
    public const int Usr1 = 10;
    public const int Usr2 = 12;
    public const int Term = 15;
    public const int Winch = 28;

    private readonly List<PosixSignalRegistration> _registrations = [];

    /// <param name="handle">Called with the signal's number, on a thread of the pool.</param>
    public SignalHandlers(Action<int> handle)
    {
        // Shells start background jobs with INT and QUIT ignored, and the runtime leaves ignored what it finds ignored
        // when the first registration is made.
        const nint Default = 0;
        _ = Libc.signal(Int, Default);
        _ = Libc.signal(Quit, Default);
        Register(PosixSignal.SIGHUP, Hup, handle);
        Register(PosixSignal.SIGINT, Int, handle);
        Register(PosixSignal.SIGQUIT, Quit, handle);
        Register(PosixSignal.SIGTERM, Term, handle);
        Register((PosixSignal)Usr1, Usr1, handle);

        // Ignored for now rather than deadly: scripts send them to nginx.
        Register((PosixSignal)Usr2, Usr2, handle);
        Register(PosixSignal.SIGWINCH, Winch, handle);
    }

    /// <summary><c>signal 15 (SIGTERM) received, exiting</c>.</summary>
    public static string Describe(int signal) => signal switch
    {
        Hup => "signal 1 (SIGHUP) received, reconfiguring",
        Int => "signal 2 (SIGINT) received, exiting",
        Quit => "signal 3 (SIGQUIT) received, shutting down",
        Usr1 => "signal 10 (SIGUSR1) received, reopening logs",
        _ => "signal 15 (SIGTERM) received, exiting",
    };

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void Register(PosixSignal signal, int number, Action<int> handle)
    {
        _registrations.Add(PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            handle(number);
        }));
    }
}
