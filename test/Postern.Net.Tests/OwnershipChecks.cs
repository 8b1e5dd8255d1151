using System.Runtime.CompilerServices;

namespace Postern.Net.Tests;

/// <summary>Every test of this program that touches an SSL object is a test of who owns it.</summary>
internal static class OwnershipChecks
{
    // A module initializer because the switch is read once, before the first connection.
#pragma warning disable CA2255 // The program is the tests'; there is no Main of its own.
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void Enable() => AppContext.SetSwitch("Postern.CheckTlsOwnership", true);
}
